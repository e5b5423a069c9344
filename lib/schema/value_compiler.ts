import type { JsonSchema } from "../contracts/chat.ts";
import type { Located, SchemaDocument } from "./document.ts";
import type { RuleSet } from "./rules.ts";

/** One way to write a value. */
export interface Alternative {
  body: string;
  /** Rules of values without which it cannot be written. */
  needs: string[];
  /** All rules of values that may be part of it. */
  uses: string[];
  /** The rule that the body is, when it is nothing else. */
  alias: string | null;
}

/** What the rules of objects and arrays need of their compiler. */
export interface ValueCompiler {
  readonly rules: RuleSet;
  readonly strict: boolean;
  readonly document: SchemaDocument;
  /** The rule for values that fit all of the schemas, or null when none does. */
  compile(schemas: readonly Located[]): string | null;
  /** Whether a value fits a schema of the document. */
  accepts(value: unknown, schema: JsonSchema): boolean;
}
