import type { JsonSchema } from "../contracts/chat.ts";
import { isMultipleOf } from "./assertions.ts";
import { arrayRule } from "./array_rules.ts";
import { type Located, SchemaDocument } from "./document.ts";
import { type Choice, Facts } from "./facts.ts";
import { JSON_TYPES, type JsonType } from "./keywords.ts";
import { integerRule, listMultiples, type NumberBounds, numberRule, parseDecimal } from "./number_rules.ts";
import { objectRule } from "./object_rules.ts";
import { findOverlap } from "./overlap.ts";
import { addAnyJson, jsonRules } from "./primitives.ts";
import type { RuleSet } from "./rules.ts";
import { stringRule } from "./string_rules.ts";
import type { Alternative, ValueCompiler } from "./value_compiler.ts";
import { createValidator, type Validator } from "./validate.ts";

/** Most combinations of `anyOf` and `oneOf` in one schema. */
const COMBINATIONS_MAX = 512;
/** Deepest nesting of schemas when references are followed. */
const DEPTH_MAX = 300;
/** Most ways in which llama.cpp's search for left recursion may walk through alternatives. */
const WALKS_MAX = 100_000;

/** How a schema is compiled. */
interface CompileOptions {
  strict: boolean;
  param: string;
  root?: string | null;
}

/**
 * Adds the rules for a schema's values. Returns the name of the topmost.
 *
 * @throws {DomainError} `invalid_request`, see `GrammarBuilder.addSchema`.
 */
export function compileSchema(schema: JsonSchema, rules: RuleSet, options: CompileOptions): string {
  const root = options.root ?? /[^.]*$/.exec(options.param)![0];
  const document = new SchemaDocument(schema, { param: options.param, root: root || "schema" });
  return new Compiler(document, rules, options.strict).compileTop();
}

/** Keywords that say nothing of values and may stand beside a `$ref`. */
const ANNOTATION =
  /^(title|description|default|examples?|deprecated|readOnly|writeOnly|\$comment|\$schema|\$defs|definitions)$/;

class Compiler implements ValueCompiler {
  readonly #ids = new Map<JsonSchema, number>();
  readonly #known = new Map<string, string | null>();
  /** Of every rule of a value, the ways to write it. */
  readonly #alternatives = new Map<string, Alternative[]>();
  readonly #validator: Validator;
  /** What is being compiled, and the names that recursion gave it. */
  readonly #open = new Map<string, { name: string | null }>();

  constructor(readonly document: SchemaDocument, readonly rules: RuleSet, readonly strict: boolean) {
    this.#validator = createValidator(document.top.schema, () => rules.spend(1));
  }

  compileTop(): string {
    const { top } = this.document;
    const rule = this.compile([top]);
    if (rule === null) throw this.document.refuse("No value can fit the schema", top.place);
    this.#checkWalks(rule);
    this.#checkEnds(top.place);
    return rule;
  }

  compile(schemas: readonly Located[]): string | null {
    const relevant = schemas.filter(({ schema }) => schema !== true).map((located) => this.#follow(located));
    if (relevant.every(({ schema }) => schema === true)) return addAnyJson(this.rules);
    const key = [...new Set(relevant.map(({ schema }) => this.#idOf(schema)))].sort((a, b) => a - b).join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { place } = relevant[0]!;
    const hint = /[^.]*$/.exec(place)![0];
    const recursion = this.#open.get(key);
    if (recursion !== undefined) return recursion.name ??= this.rules.reserve(hint);
    if (this.#open.size >= DEPTH_MAX) throw this.document.refuse(`References nest deeper than ${DEPTH_MAX}`, place);
    const open: { name: string | null } = { name: null };
    this.#open.set(key, open);
    const alternatives = this.#describe(relevant);
    this.#open.delete(key);
    const name = this.#addRule(alternatives, { name: open.name, hint, place });
    this.#known.set(key, name);
    return name;
  }

  #addRule(
    alternatives: Alternative[],
    { name, hint, place }: { name: string | null; hint: string; place: string },
  ): string | null {
    if (alternatives.length === 0) {
      if (name !== null) throw this.document.refuse("No value can fit the schema", place);
      return null;
    }
    const [body, ...others] = new Set(alternatives.map((alternative) => alternative.body));
    const isName = others.length === 0 && /^[a-zA-Z0-9-]+$/.test(body!);
    if (isName && name === null) return body!;
    const text = [body, ...others].join(" | ");
    if (name !== null) this.rules.define(name, text);
    const added = name ?? this.rules.add(hint, text);
    this.#alternatives.set(added, alternatives);
    return added;
  }

  accepts(value: unknown, schema: JsonSchema): boolean {
    return this.#validator(value, schema) === null;
  }

  #idOf(schema: JsonSchema): number {
    const id = this.#ids.get(schema) ?? this.#ids.size;
    this.#ids.set(schema, id);
    return id;
  }

  /** What bare references lead to: they share the rule of their target. */
  #follow(located: Located): Located {
    let found = located;
    for (let hops = 0; typeof found.schema === "object" && typeof found.schema["$ref"] === "string"; hops++) {
      if (!Object.keys(found.schema).every((keyword) => keyword === "$ref" || ANNOTATION.test(keyword))) break;
      found = this.document.resolve(found.schema["$ref"]);
      if (hops > DEPTH_MAX) {
        throw this.document.refuse(
          `A $ref leads back to itself, or through more than ${DEPTH_MAX} others`,
          found.place,
        );
      }
    }
    return found;
  }

  #describe(schemas: readonly Located[]): Alternative[] {
    const facts = new Facts(this.document, this.strict);
    for (const schema of schemas) facts.absorb(schema);
    return this.#expand(facts, schemas[0]!.place, { left: COMBINATIONS_MAX });
  }

  /** Works through the choices one by one. */
  #expand(facts: Facts, place: string, budget: { left: number }): Alternative[] {
    if (facts.impossible) return [];
    if (--budget.left < 0) throw this.document.refuse("anyOf and oneOf combine in too many ways", place);
    const choice = facts.choices[0];
    if (choice === undefined) return this.#writeValue(facts, place);
    this.#refuseOverlap(choice, facts);
    if (facts.isBareChoice()) {
      return choice.branches.flatMap((branch) => {
        const rule = this.compile([branch]);
        return rule === null ? [] : [{ body: rule, needs: [rule], uses: [rule], alias: rule }];
      });
    }
    return choice.branches.flatMap((branch) => {
      const combined = facts.branch(choice);
      combined.absorb(branch);
      return this.#expand(combined, place, budget);
    });
  }

  #refuseOverlap({ keyword, place, branches }: Choice, facts: Facts): void {
    if (!this.strict || keyword !== "oneOf") return;
    const overlap = findOverlap(branches, { document: this.document, types: facts.types });
    if (overlap === null) return;
    const reason = `a value may fit its branches ${overlap[0]} and ${overlap[1]} at once, use "anyOf"`;
    throw this.document.refuse(`Unsupported keyword "oneOf" (${reason})`, place.replace(/\.oneOf$/, ""));
  }

  #writeValue(facts: Facts, place: string): Alternative[] {
    if (facts.valueLists.length > 0) return this.#writeListed(facts);
    const hinted = JSON_TYPES.filter((type) => facts.hinted.has(type));
    const types = facts.types ?? (hinted.length > 0 ? hinted : null);
    if (types === null) {
      const isText = facts.formats.length > 0;
      const rule = isText ? stringRule(facts, this) : addAnyJson(this.rules);
      return rule === null ? [] : [{ body: rule, needs: [], uses: [], alias: null }];
    }
    return JSON_TYPES.filter((type) => types.includes(type) && !(type === "integer" && types.includes("number")))
      .flatMap((type) => this.#writeType(type, facts, place) ?? []);
  }

  /** `enum` and `const`: those values that fit everything that is said. */
  #writeListed({ valueLists, sources }: Facts): Alternative[] {
    const shortest = valueLists.toSorted((a, b) => a.length - b.length)[0]!;
    const fitting = shortest.filter((value) => sources.every(({ schema }) => this.accepts(value, schema)));
    return jsonRules(fitting, this.rules).map((body) => ({ body, needs: [], uses: [], alias: null }));
  }

  #writeType(type: JsonType, facts: Facts, place: string): Alternative | null {
    if (type === "object") return objectRule(facts, { compiler: this, place });
    if (type === "array") return arrayRule(facts, this);
    const body = this.#writeScalar(type, facts);
    return body === null ? null : { body, needs: [], uses: [], alias: null };
  }

  #writeScalar(type: JsonType, facts: Facts): string | null {
    if (type === "boolean") return this.rules.add("boolean", '"true" | "false"');
    if (type === "null") return '"null"';
    if (type === "string") return stringRule(facts, this);
    const steps = listSteps(facts, type);
    if (steps !== null) return steps.length === 0 ? null : jsonRules(steps, this.rules).join(" | ");
    const bounds = this.#readBounds(facts);
    const isWhole = type === "integer" || bounds.fractionDigitsMax === 0;
    const body = isWhole ? integerRule(bounds) : numberRule(bounds);
    return body === null ? null : this.rules.add(isWhole ? "integer" : "number", body);
  }

  #readBounds({ min, max, multiples }: Facts): NumberBounds {
    let fractionDigitsMax: number | null = null;
    for (const { value, place } of multiples) {
      const { digits, exponent } = parseDecimal(value);
      if (digits === 1n && exponent <= 0) fractionDigitsMax = Math.min(fractionDigitsMax ?? Infinity, -exponent);
      else if (this.strict) {
        const reason = "with so many multiples between its bounds";
        throw this.document.refuse(`Unsupported keyword "multipleOf" (${reason})`, place);
      }
    }
    return {
      min: min?.value ?? null,
      max: max?.value ?? null,
      minExclusive: min?.exclusive ?? false,
      maxExclusive: max?.exclusive ?? false,
      fractionDigitsMax,
    };
  }

  /** Refuses alternatives that come back to themselves, and those whose walks llama.cpp would not get through. */
  #checkWalks(top: string): void {
    const walks = new Map<string, number>();
    const count = (rule: string, trail: string[]): number => {
      if (trail.includes(rule)) {
        throw this.document.refuse("A schema leads back to itself by anyOf or oneOf", this.document.top.place);
      }
      const known = walks.get(rule);
      if (known !== undefined) return known;
      let sum = 1;
      for (const { alias } of this.#alternatives.get(rule) ?? []) {
        if (alias !== null) sum += count(alias, [...trail, rule]);
      }
      walks.set(rule, sum);
      if (sum > WALKS_MAX) throw this.document.refuse("anyOf and oneOf nest in too many ways", this.document.top.place);
      return sum;
    };
    for (const rule of this.#alternatives.keys()) count(rule, []);
    count(top, []);
  }

  /** Refuses what could be begun and never ended: each rule that is used needs a finite value. */
  #checkEnds(place: string): void {
    const finite = new Set<string>();
    const isFinite = (name: string) => finite.has(name) || !this.#alternatives.has(name);
    for (let before = -1; before !== finite.size;) {
      before = finite.size;
      for (const [rule, alternatives] of this.#alternatives) {
        if (alternatives.some(({ needs }) => needs.every(isFinite))) finite.add(rule);
      }
    }
    for (const alternatives of this.#alternatives.values()) {
      const endless = alternatives.flatMap(({ uses }) => uses).find((name) => !isFinite(name));
      if (endless !== undefined) {
        throw this.document.refuse(`The schema asks for a value without end (at "${endless}")`, place);
      }
    }
  }
}

/** The numbers of which `multipleOf` leaves only few between bounds; null when there are many, or no such keyword. */
function listSteps({ min, max, multiples }: Facts, type: JsonType): number[] | null {
  const [first, ...others] = multiples.map(({ value }) => value);
  if (first === undefined || min === null || max === null) return null;
  const isOther = (value: number) => others.every((other) => isMultipleOf(value, other));
  return listMultiples(first, { min: min.value, max: max.value })?.filter((value) => {
    const isWithin = (value > min.value || !min.exclusive) && (value < max.value || !max.exclusive);
    return isWithin && isOther(value) && (type === "number" || Number.isInteger(value));
  }) ?? null;
}
