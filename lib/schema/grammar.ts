import type { JsonSchema } from "../contracts/chat.ts";
import { compileSchema } from "./compile.ts";
import { RuleSet } from "./rules.ts";

export { literal } from "./rules.ts";

/** How a schema is read. */
export interface SchemaOptions {
  /** Refuse a keyword that the grammar cannot hold; otherwise it is passed over. */
  strict: boolean;
  /** The request field that holds the schema, for errors: `tools[0].function.parameters`. */
  param: string;
  /** What errors call the schema itself; null or absent: the last name in `param`, here `parameters`. */
  root?: string | null;
}

/**
 * Builds a grammar in llama.cpp's GBNF out of JSON Schemas and of rules of one's own. Several schemas share it: names
 * never clash, and what they have in common stands in it once.
 *
 * Of JSON it knows one style, `{"a": 1, "b": [2, 3]}`, in which the spaces may be missing: a model cannot fill an answer
 * with blanks. Declared properties come in their order. Keys that a schema with `properties` does not name are left out
 * unless `additionalProperties` says otherwise, a tuple is whole, and a schema without `type` is of the type that its
 * keywords are for: each of these is narrower than JSON Schema, so that what the grammar permits is always valid.
 */
export class GrammarBuilder {
  readonly #rules = new RuleSet();

  /** Adds a rule. Returns its name, which is `name` unless that is taken or another rule has the same body. */
  addRule(name: string, body: string): string {
    return this.#rules.add(name, body);
  }

  /**
   * Adds the rules of a schema. Returns the name of the rule that stands for its values.
   *
   * @throws {DomainError} `invalid_request` when the schema is malformed, when nothing fits it, when it is too large, and
   * when `strict` and it has a keyword that the grammar cannot hold.
   */
  addSchema(schema: JsonSchema, options: SchemaOptions): string {
    return compileSchema(schema, this.#rules, options);
  }

  /** The whole grammar, whose rule `root` has the body given. */
  toGbnf(rootBody: string): string {
    return `root ::= ${rootBody}\n${this.#rules.toText()}`;
  }
}
