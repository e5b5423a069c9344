import { readEventStream } from "../../lib/client/event_stream.ts";
import type { Server } from "./servers.ts";

/** Tokens of the answers whose speed is measured. */
const ANSWER_TOKENS = 128;
/** An answer that a model ended by itself before this many tokens says little; another one is asked for. */
const ANSWER_TOKENS_MIN = 64;
const ANSWER_TRIES = 5;

const PREFILL_TOKENS = 1_500;
const HISTORY_TOKENS = 2_000;

/** What one server did in one round; times in milliseconds, speeds in tokens a second, memory in bytes. */
export interface Measurement {
  decodeOne: number;
  decodeFour: number;
  prefill: number;
  firstTokenColdMs: number;
  firstTokenSecondTurnMs: number;
  memoryBytes: number;
}

interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** One streamed answer, as its client sees it. */
interface Answer {
  text: string;
  /** When it was asked for, when its first text came, and when its last event came. */
  askedMs: number;
  firstMs: number;
  endedMs: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** Measures everything on one server while nothing else works. `round` makes
 * prompts that no cache knows, and the same ones for every server. */
export async function measureServer(server: Server, model: string, round: number): Promise<Measurement> {
  const client = new Client(server, model, new WordSource(`${model} ${round}`));
  await client.ask([{ role: "user", content: "Hello" }], 8);
  const one = await client.write();
  const four = await Promise.all([1, 2, 3, 4].map(() => client.write()));
  const firstMs = Math.min(...four.map((answer) => answer.firstMs));
  const endedMs = Math.max(...four.map((answer) => answer.endedMs));
  const fourTokens = four.reduce((sum, answer) => sum + answer.completionTokens - 1, 0);
  const read = await client.ask(await client.makePrompt(PREFILL_TOKENS), 1);
  const conversation = await client.makePrompt(HISTORY_TOKENS);
  const cold = await client.ask(conversation, 32);
  const question: Message = { role: "user", content: "And what follows from it?" };
  const second = await client.ask([...conversation, { role: "assistant", content: cold.text }, question], 8);
  return {
    decodeOne: (one.completionTokens - 1) / (one.endedMs - one.firstMs) * 1000,
    decodeFour: fourTokens / (endedMs - firstMs) * 1000,
    prefill: (read.promptTokens - read.cachedTokens) / (read.endedMs - read.askedMs) * 1000,
    firstTokenColdMs: cold.firstMs - cold.askedMs,
    firstTokenSecondTurnMs: second.firstMs - second.askedMs,
    memoryBytes: await server.measureMemory(),
  };
}

/** Asks one server. */
class Client {
  #tokensAWord: number | null = null;

  constructor(readonly server: Server, readonly model: string, readonly words: WordSource) {}

  /** A long answer to a short question; asked again when the model ends it early, which a random one may. */
  async write(): Promise<Answer> {
    for (let tries = 1; tries <= ANSWER_TRIES; tries++) {
      const content = `Write a very long story about ${this.words.take(8)}. Describe every detail.`;
      const answer = await this.ask([{ role: "user", content }], ANSWER_TOKENS);
      if (answer.completionTokens >= ANSWER_TOKENS_MIN) return answer;
    }
    throw new Error(`${this.server.name} ended ${ANSWER_TRIES} answers before ${ANSWER_TOKENS_MIN} tokens`);
  }

  /** A prompt of about `tokens` tokens; its very beginning is unique, so that nothing of it can be cached. */
  async makePrompt(tokens: number): Promise<Message[]> {
    this.#tokensAWord ??= await this.#measureWords();
    const words = this.words.take(Math.round(tokens / this.#tokensAWord));
    return [{ role: "system", content: this.words.take(4) }, { role: "user", content: words }];
  }

  async #measureWords(): Promise<number> {
    const ask = (count: number) => this.ask([{ role: "system", content: this.words.take(count) }], 1);
    const [few, many] = [await ask(10), await ask(110)];
    return (many.promptTokens - few.promptTokens) / 100;
  }

  /** Streams one answer. Sampling is the server's default; the same in both, as both are llama.cpp. */
  async ask(messages: Message[], tokensMax: number): Promise<Answer> {
    const body = JSON.stringify({
      model: this.model,
      messages,
      max_tokens: tokensMax,
      stream: true,
      stream_options: { include_usage: true },
    });
    const headers = { "content-type": "application/json" };
    const askedMs = performance.now();
    const response = await fetch(`${this.server.url}/v1/chat/completions`, { method: "POST", headers, body });
    if (!response.ok || response.body === null) {
      throw new Error(`${this.server.name} answers ${response.status}: ${await response.text()}`);
    }
    const answer: Answer = {
      text: "",
      askedMs,
      firstMs: 0,
      endedMs: 0,
      promptTokens: 0,
      cachedTokens: 0,
      completionTokens: 0,
    };
    for await (const { data } of readEventStream(response.body)) {
      if (data === "[DONE]") break;
      takeChunk(answer, JSON.parse(data));
    }
    if (answer.completionTokens === 0) throw new Error(`${this.server.name} ended a stream without usage`);
    if (answer.firstMs === 0) answer.firstMs = answer.endedMs;
    return answer;
  }
}

/** The parts of a chunk in OpenAI's format that are looked at. */
interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
}

function takeChunk(answer: Answer, { choices, usage }: Chunk): void {
  const content = choices?.[0]?.delta?.content ?? "";
  if (content !== "" && answer.firstMs === 0) answer.firstMs = performance.now();
  if (content !== "" || (choices?.[0]?.finish_reason ?? null) !== null) answer.endedMs = performance.now();
  answer.text += content;
  if (usage === undefined || usage === null) return;
  answer.promptTokens = usage.prompt_tokens;
  answer.completionTokens = usage.completion_tokens;
  answer.cachedTokens = usage.prompt_tokens_details?.cached_tokens ?? 0;
}

const SYLLABLES = "ka ri to me lu sa ven dor il pa quo sti an ber fo gre".split(" ");

/** Words that look like words, never the same for two seeds. */
export class WordSource {
  #state: number;

  constructor(seed: string) {
    this.#state = [...seed].reduce(
      (hash, character) => Math.imul(hash ^ character.charCodeAt(0), 0x01000193),
      0x811c9dc5,
    );
  }

  /** The next `count` words, separated by spaces. */
  take(count: number): string {
    return Array.from({ length: count }, () => this.#syllable() + this.#syllable() + this.#syllable()).join(" ");
  }

  /** A linear congruential generator's high bits: what counts is that words differ, not how well. */
  #syllable(): string {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return SYLLABLES[this.#state >>> 28] ?? "";
  }
}
