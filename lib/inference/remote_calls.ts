import { z } from "zod";
import type { ChatEvent } from "../contracts/chat.ts";

/** A piece of a tool call as servers stream it. */
export const CallPiece = z.object({
  /** Ollama and some others number every call 0, or none. */
  index: z.number().int().nullish(),
  id: z.string().nullish(),
  function: z.object({
    name: z.string().nullish(),
    /** JSON as text; a few servers send the object itself. */
    arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  }).nullish(),
});
export type CallPiece = z.infer<typeof CallPiece>;

/** The call whose arguments are coming. */
interface OpenCall {
  /** What the server numbers and calls it. */
  index: number | null;
  id: string | null;
  /** What was said of it before its name came. */
  held: string;
  named: boolean;
  argued: boolean;
}

/**
 * Puts tool calls together from the pieces of any server: a new index or a new id begins a call, a piece without
 * either goes on with the last one. Calls come out one after the other, numbered from 0, each with an id of its own.
 */
export class CallAssembler {
  #open: OpenCall | null = null;
  /** Numbers and ids of calls that have ended. */
  readonly #ended: OpenCall[] = [];
  #count = 0;

  /** Calls that have begun. */
  get count(): number {
    return this.#count;
  }

  /** @throws {TypeError} when a piece belongs to a call that has ended: calls are never mixed here. */
  *push(piece: CallPiece): Generator<ChatEvent, void, void> {
    if (this.#begins(piece)) {
      yield* this.end();
      this.#open = { index: piece.index ?? null, id: piece.id || null, held: "", named: false, argued: false };
    }
    const call = this.#open!;
    const name = piece.function?.name || null;
    if (!call.named && name !== null) yield* this.#name(call, piece.id || call.id, name);
    const given = piece.function?.arguments ?? "";
    const text = typeof given === "string" ? given : JSON.stringify(given);
    if (call.named) yield* this.#argue(call, text);
    else call.held += text;
  }

  /** Ends the last call; one that was given no arguments has none. */
  *end(): Generator<ChatEvent, void, void> {
    const call = this.#open;
    this.#open = null;
    if (call === null) return;
    this.#ended.push(call);
    if (!call.named) throw new TypeError("A tool call has no name");
    if (!call.argued) yield* this.#argue(call, "{}");
  }

  #begins({ index, id }: CallPiece): boolean {
    const open = this.#open;
    if (open === null) return true;
    if (id && open.id !== null && id !== open.id) return true;
    if (typeof index !== "number" || open.index === null || index === open.index) return false;
    if (this.#ended.some((call) => call.index === index)) throw new TypeError("Pieces of tool calls are mixed");
    return true;
  }

  *#name(call: OpenCall, id: string | null, name: string): Generator<ChatEvent, void, void> {
    call.id = id;
    call.named = true;
    yield {
      type: "tool_call",
      index: this.#count++,
      id: id ?? `call_${crypto.randomUUID().replaceAll("-", "")}`,
      name,
    };
    yield* this.#argue(call, call.held);
  }

  *#argue(call: OpenCall, text: string): Generator<ChatEvent, void, void> {
    if (text === "") return;
    call.argued = true;
    yield { type: "tool_arguments", index: this.#count - 1, text };
  }
}
