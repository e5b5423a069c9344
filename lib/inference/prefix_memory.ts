import { createHash } from "node:crypto";
import type { ChatRequest } from "../contracts/chat.ts";

/** Characters of a raw prompt that are looked at as one piece: what a prefix saves below that is not worth a detour. */
const PIECE_CHARACTERS = 1_024;

/** The beginning of a conversation: everything up to and with one of its messages. */
export interface Prefix {
  key: string;
  /**
   * Characters that whoever was given this beginning has computed: up to here, and the answer that follows, because it
   * wrote that or one like it. Clients send answers back in forms of their own, so that the answer itself proves nothing.
   */
  characters: number;
}

/**
 * Remembers which conversations somebody was given, by hashes of every beginning that they have, each one including its
 * owner, model and tools. So a longer conversation is recognised by the one that it continues, and a regenerated answer or
 * another branch by what it shares. It holds no text, and so many beginnings at most; those that were not seen for longest
 * go first.
 */
export class PrefixMemory {
  /** Owners by key, in the order of use. */
  readonly #owners = new Map<string, string>();

  constructor(readonly prefixesMax: number) {}

  /** Takes note of every beginning of a conversation. */
  remember(owner: string, prefixes: readonly Prefix[]): void {
    // The longest last: it is the likeliest to be asked for again.
    for (const { key } of prefixes) {
      this.#owners.delete(key);
      this.#owners.set(key, owner);
    }
    for (const key of this.#owners.keys()) {
      if (this.#owners.size <= this.prefixesMax) break;
      this.#owners.delete(key);
    }
  }

  /** Characters of the longest beginning that is known. */
  measure(prefixes: readonly Prefix[]): number {
    return prefixes.findLast(({ key }) => this.#owners.has(key))?.characters ?? 0;
  }

  forget(owner: string): void {
    for (const [key, of] of this.#owners) {
      if (of === owner) this.#owners.delete(key);
    }
  }
}

/** Every beginning of a request's conversation, from the first message (or piece of a raw prompt) to the whole. */
export function listPrefixes({ owner, model, messages, prompt, tools }: ChatRequest): Prefix[] {
  const hash = createHash("sha256").update(JSON.stringify([owner, model, tools]));
  const pieces = prompt === null ? (messages ?? []).map((message) => JSON.stringify(message)) : cut(prompt);
  let characters = 0;
  return pieces.map((piece, at) => {
    hash.update(piece).update("\0");
    characters += piece.length;
    const answer = messages?.[at + 1]?.role === "assistant" ? pieces[at + 1]!.length : 0;
    return { key: hash.copy().digest("base64"), characters: characters + answer };
  });
}

function cut(prompt: string): string[] {
  const count = Math.ceil(prompt.length / PIECE_CHARACTERS);
  return Array.from({ length: count }, (_, at) => prompt.slice(at * PIECE_CHARACTERS, (at + 1) * PIECE_CHARACTERS));
}
