import type { JsonSchema, Tool } from "../../contracts/chat.ts";
import { DomainError } from "../../errors.ts";
import { type GrammarBuilder, literal } from "../../schema/grammar.ts";
import type { CallFormat } from "./families.ts";

/** Most calls of one answer: a small model that goes on for ever is stopped here. */
export const CALLS_MAX = 16;

/** Keywords that say what a text has to be like. */
const TEXT_KEYWORDS = ["pattern", "format", "minLength", "maxLength", "allOf", "anyOf", "oneOf", "not", "if", "$ref"];

/** A tool with its place in the request, which errors name. */
export interface PlacedTool {
  tool: Tool;
  place: number;
}

/** Writes the rules by which a model calls tools in a format. Rules that formats share are built once. */
export class CallGrammar {
  constructor(
    private readonly builder: GrammarBuilder,
    private readonly tools: readonly PlacedTool[],
    private readonly callsMax: number,
  ) {}

  /** What may follow on a format's marker: calls and their end. */
  followMarker(format: CallFormat): string {
    const call = this.#callRule(format);
    const more = this.callsMax === 1 || format.separator === null
      ? ""
      : ` (${this.#spaced(format.separator)} ${call}){0,${this.callsMax - 1}}`;
    return [this.#spaced(format.begin), call + more, this.#spaced(format.end)].filter((part) => part !== "").join(" ");
  }

  /** What may follow on the name of a tool, from the character that ends it. */
  followName(format: CallFormat, name: string): string {
    const placed = this.tools.find(({ tool }) => tool.name === name)!;
    return [this.#nameEnding(format, placed), this.#spaced(format.close)].filter((part) => part !== "").join(" ");
  }

  /** The names of all tools, each followed by the arguments that it takes. */
  followHead(format: CallFormat): string {
    const endings = this.tools.map((placed): NamedRule => {
      const { name } = placed.tool;
      const written = format.head.endsWith('"') ? JSON.stringify(name).slice(1, -1) : name;
      return { name: written, rule: this.builder.addRule(`${format.id}-${name}`, this.#nameEnding(format, placed)) };
    });
    return this.builder.addRule(`${format.id}-names`, branchByName(endings));
  }

  #callRule(format: CallFormat): string {
    const parts = [this.#spaced(format.head), this.followHead(format), this.#spaced(format.close)];
    return this.builder.addRule(`${format.id}-call`, parts.filter((part) => part !== "").join(" "));
  }

  #nameEnding(format: CallFormat, { tool, place }: PlacedTool): string {
    const param = `tools[${place}].function.parameters`;
    const middle = format.id === "harmony" ? this.#harmonyMiddle() : this.#spaced(format.middle);
    if (format.arguments === "xml") return `${middle} ${this.#xmlArguments(tool, param)}`;
    const schema = asObjectSchema(tool.parameters, param);
    return `${middle} ${this.builder.addSchema(schema, { strict: tool.strict, param })}`;
  }

  /** The rest of a header of gpt-oss: its channel may stand before or after the function's name. */
  #harmonyMiddle(): string {
    const type = `(${literal(" ")}? ${literal("<|constrain|>json")} | ${literal(" json")})?`;
    const channel = `(${literal("<|channel|>commentary")})?`;
    return this.builder.addRule("harmony-middle", `${channel} ${type} ${literal("<|message|>")}`);
  }

  #xmlArguments(tool: Tool, param: string): string {
    const schema = asObjectSchema(tool.parameters, param);
    const required = new Set(Array.isArray(schema.required) ? schema.required : []);
    const parts = Object.entries(propertiesOf(schema)).map(([name, value]) => {
      const open = literal(`<parameter=${name}>\n`);
      const body = this.#xmlValue(value, { schema, strict: tool.strict, param: `${param}.properties.${name}` });
      const rule = this.builder.addRule(`parameter-${name}`, `${open} ${body} ${literal("\n</parameter>\n")}`);
      return required.has(name) ? rule : `${rule}?`;
    });
    return [...parts, literal("</function>")].join(" ");
  }

  #xmlValue(value: unknown, options: { schema: Record<string, unknown>; strict: boolean; param: string }): string {
    const texts = listTexts(value);
    if (texts !== null) return `(${texts.map(literal).join(" | ")})`;
    if (isTextSchema(value)) return this.#textWithoutLine("</parameter>");
    const { schema, strict, param } = options;
    if (typeof value !== "object" || value === null) return this.builder.addSchema(true, { strict, param });
    // A parameter's references point into the schema of all.
    const { $defs, definitions } = schema;
    return this.builder.addSchema({ ...($defs ? { $defs } : {}), ...(definitions ? { definitions } : {}), ...value }, {
      strict,
      param,
    });
  }

  /** Any text of which no line but the first begins with `beginning`, letters and angle brackets. */
  #textWithoutLine(beginning: string): string {
    const line = "[^\\n]*";
    let rest = "";
    for (const char of [...beginning].reverse()) {
      const other = `[^\\n${char}] ${line}`;
      rest = rest === "" ? `(${other})?` : `(${other} | ${literal(char)} ${rest})?`;
    }
    return this.builder.addRule("lines", `${line} (${literal("\n")} ${rest})*`);
  }

  /** A literal whose white space may be more or less. */
  #spaced(text: string): string {
    if (text === "") return "";
    const space = this.builder.addRule("space", "[ \\t\\r\\n]{0,3}");
    return text.split(/(\s+)/).filter((part) => part !== "").map((part) => part.trim() === "" ? space : literal(part))
      .join(" ");
  }
}

interface NamedRule {
  name: string;
  rule: string;
}

/**
 * One alternative for every name, followed by its rule. Names that begin alike share their beginning: a grammar with 128
 * alternatives at one place takes a sampler long.
 */
function branchByName(rules: readonly NamedRule[]): string {
  const groups = new Map<string, NamedRule[]>();
  for (const rule of rules) {
    const [key = ""] = rule.name;
    groups.set(key, [...(groups.get(key) ?? []), rule]);
  }
  const alternatives = [...groups].map(([key, group]) => {
    if (key === "") return group[0]!.rule;
    const shared = sharedLength(group.map(({ name }) => name));
    const prefix = literal(group[0]!.name.slice(0, shared));
    const rests = group.map(({ name, rule }) => ({ name: name.slice(shared), rule }));
    return rests.length === 1 ? `${prefix} ${rests[0]!.rule}` : `${prefix} (${branchByName(rests)})`;
  });
  return alternatives.join(" | ");
}

/** Characters (UTF-16, never half a pair) that all names begin with. */
function sharedLength(names: readonly string[]): number {
  const [first = "", ...others] = names;
  let length = 0;
  for (const char of first) {
    const next = length + char.length;
    if (!others.every((name) => name.startsWith(first.slice(0, next)))) break;
    length = next;
  }
  return length;
}

/** Whether a parameter's values are written as plain text where parameters are no JSON. */
export function isTextParameter(tool: Tool, parameter: string): boolean {
  if (typeof tool.parameters === "boolean") return true;
  const schema = propertiesOf(tool.parameters)[parameter];
  return schema === undefined || isTextSchema(schema) || listTexts(schema) !== null;
}

/** A text that has to be of a form is written as JSON, for which there are grammars. */
function isTextSchema(schema: unknown): boolean {
  if (typeof schema !== "object" || schema === null || !("type" in schema) || schema.type !== "string") return false;
  return !TEXT_KEYWORDS.some((keyword) => keyword in schema);
}

/** The texts that an `enum` or `const` of nothing but texts permits, or null. */
function listTexts(schema: unknown): string[] | null {
  if (typeof schema !== "object" || schema === null) return null;
  const values: unknown = "const" in schema ? [schema.const] : "enum" in schema ? schema.enum : null;
  if (!Array.isArray(values) || values.length === 0) return null;
  return values.every((value) => typeof value === "string") ? values : null;
}

function propertiesOf(schema: Record<string, unknown>): Record<string, unknown> {
  const { properties } = schema;
  return typeof properties === "object" && properties !== null ? properties as Record<string, unknown> : {};
}

function asObjectSchema(schema: JsonSchema, param: string): Record<string, unknown> {
  if (typeof schema === "boolean") return { type: "object" };
  const { type = "object" } = schema;
  if (type === "object" || (Array.isArray(type) && type.includes("object"))) return { ...schema, type: "object" };
  throw new DomainError(
    "invalid_request",
    `The parameters of a function are an object, not of type ${JSON.stringify(type)}`,
    {
      param,
    },
  );
}
