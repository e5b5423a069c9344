import type { JsonSchema } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { checkKeywords, isSchema, subschemasOf } from "./keywords.ts";
import { findReference } from "./references.ts";

/** Deepest nesting of schemas in schemas. */
const DEPTH_MAX = 64;
/** Most schemas in one document. */
const SCHEMAS_MAX = 20_000;

/** Longest place that an error tells, in UTF-16 units. */
const PLACE_LENGTH_MAX = 300;

/** A schema and where it stands, such as `parameters.properties.a`. */
export interface Located {
  schema: JsonSchema;
  place: string;
}

/** A whole schema, known to be well formed, with everything in it that a `$ref` may lead to. */
export class SchemaDocument {
  readonly top: Located;
  readonly #param: string;
  readonly #targets = new Map<string, JsonSchema>();

  /** @throws {DomainError} `invalid_request` at the first place where the schema is malformed. */
  constructor(schema: JsonSchema, options: { param: string; root: string }) {
    this.#param = options.param;
    this.top = { schema, place: options.root };
    this.#check();
  }

  /** What a `$ref` of this document leads to. */
  resolve(ref: string): Located {
    return { schema: this.#targets.get(ref)!, place: placeOfReference(this.top.place, ref) };
  }

  /** The error for something that is wrong at a place. */
  refuse(message: string, place: string): DomainError {
    const shown = place.length > PLACE_LENGTH_MAX ? `${place.slice(0, PLACE_LENGTH_MAX - 1)}…` : place;
    return new DomainError("invalid_request", `${message} at ${shown}`, { param: this.#param });
  }

  #check(): void {
    const seen = new Set<JsonSchema>();
    const todo = [{ ...this.top, depth: 0 }];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { schema, place, depth } = next;
      if (!isSchema(schema)) throw this.refuse("A schema has to be an object or a boolean", place);
      if (typeof schema === "boolean" || seen.has(schema)) continue;
      seen.add(schema);
      if (depth > DEPTH_MAX) throw this.refuse(`Schemas nest deeper than ${DEPTH_MAX}`, place);
      if (seen.size > SCHEMAS_MAX) throw this.refuse(`There are more than ${SCHEMAS_MAX} schemas, too many`, place);
      const complaint = checkKeywords(schema);
      if (complaint !== null) throw this.refuse(complaint, place);
      for (const { path, schema: inner } of subschemasOf(schema)) {
        todo.push({ schema: inner, place: place + path, depth: depth + 1 });
      }
      const { $ref: ref } = schema;
      if (typeof ref === "string" && !this.#targets.has(ref)) {
        const target = findReference(this.top.schema, ref);
        if (target === null) {
          throw this.refuse(`Cannot follow $ref "${ref}": it leads to no schema of this document`, place);
        }
        this.#targets.set(ref, target);
        // It may stand outside of the keywords that hold schemas, and is then checked here.
        todo.push({ schema: target, place: placeOfReference(this.top.place, ref), depth: 0 });
      }
    }
  }
}

function placeOfReference(root: string, ref: string): string {
  const [, pointer = ""] = ref.split("#", 2);
  return root + pointer.replaceAll("/", ".");
}
