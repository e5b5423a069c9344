import { z } from "zod";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { RemoteModel } from "./remote_models.ts";

/** A vector as `encoding_format` asks for it (base64 of little-endian floats), or as numbers by servers that do not mind it. */
const Vector = z.union([
  z.string().transform((text, context) => decodeVector(text) ?? refuse(context)),
  z.array(z.number()).min(1).transform((numbers) => Float32Array.from(numbers)),
]);

const Answer = z.object({
  data: z.array(z.object({ index: z.number().int().min(0), embedding: Vector })),
  usage: z.object({ prompt_tokens: z.number().int().min(0) }).nullish(),
});

/** Writes a request for embeddings; vLLM alone can be asked to cut what is too long. */
export function toRemoteEmbed(request: EmbedRequest, { id, dialect }: RemoteModel): object {
  return {
    model: id,
    input: request.inputs,
    encoding_format: "base64",
    ...(request.dimensions === null ? {} : { dimensions: request.dimensions }),
    ...(request.truncate && dialect === "vllm" ? { truncate_prompt_tokens: -1 } : {}),
  };
}

/**
 * Reads a server's vectors, in the order of the inputs, and makes each one unit long.
 *
 * @throws {Error} when there are not as many as inputs, or they are none.
 */
export function readRemoteEmbeddings(answer: unknown, inputs: number): Embeddings {
  const { data, usage } = Answer.parse(answer);
  const vectors = data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => toUnit(embedding));
  if (vectors.length !== inputs) throw new TypeError(`There are ${vectors.length} vectors for ${inputs} inputs`);
  return { vectors, promptTokens: usage?.prompt_tokens ?? 0 };
}

function decodeVector(text: string): Float32Array | null {
  try {
    const bytes = Uint8Array.fromBase64(text);
    const view = new DataView(bytes.buffer);
    if (bytes.length === 0 || bytes.length % 4 !== 0) return null;
    return Float32Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(at * 4, true));
  } catch {
    return null;
  }
}

function refuse(context: z.RefinementCtx): never {
  context.addIssue({ code: "custom", message: "must be base64 of 32-bit floats" });
  return z.NEVER;
}

function toUnit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}
