import { readEventStream } from "../../lib/client/event_stream.ts";
import type { Server } from "./servers.ts";

/** Tokens of the answers whose speed is measured. */
const ANSWER_TOKENS = 128;
/** An answer that a model ended by itself before this many tokens says little; another one is asked for. */
const ANSWER_TOKENS_MIN = 64;
const ANSWER_TRIES = 5;

/** A message of a prompt. */
export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** One streamed answer, as its client sees it; times in milliseconds. */
export interface Answer {
  text: string;
  /** When it was asked for, and when each piece of text came. */
  askedMs: number;
  pieceMs: number[];
  endedMs: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** When an answer's first text came, in milliseconds. */
export function firstMs({ pieceMs, endedMs }: Answer): number {
  return pieceMs[0] ?? endedMs;
}

/** Tokens a second of one answer, once it had begun. */
export function decodeSpeed(answer: Answer): number {
  return (answer.completionTokens - 1) / (answer.endedMs - firstMs(answer)) * 1000;
}

/** Tokens a second of several answers together, from the first text to the last. */
export function totalSpeed(answers: readonly Answer[]): number {
  const from = Math.min(...answers.map(firstMs));
  const to = Math.max(...answers.map(({ endedMs }) => endedMs));
  return answers.reduce((sum, { completionTokens }) => sum + completionTokens, 0) / (to - from) * 1000;
}

/** Tokens a second of several answers together, while all of them were being written: the others' prompts are read then. */
export function decodeSpeedTogether(answers: readonly Answer[]): number {
  const from = Math.max(...answers.map(firstMs));
  const to = Math.min(...answers.map(({ endedMs }) => endedMs));
  // Where there are too few sequences they were never all written at once.
  if (to <= from) return totalSpeed(answers);
  const tokens = answers.reduce((sum, { pieceMs, completionTokens }) => {
    const pieces = pieceMs.filter((ms) => ms > from && ms <= to).length;
    return sum + pieces * completionTokens / pieceMs.length;
  }, 0);
  return tokens / (to - from) * 1000;
}

/** Asks one server. */
export class Client {
  #tokensAWord: number | null = null;

  constructor(readonly server: Server, readonly model: string, readonly words: WordSource) {}

  /** A long answer to a short question; asked again when the model ends it early, which a random one may. */
  async write(options: object = {}): Promise<Answer> {
    for (let tries = 1; tries <= ANSWER_TRIES; tries++) {
      const content = `Write a very long story about ${this.words.take(8)}. Describe every detail.`;
      const answer = await this.ask([{ role: "user", content }], { max_tokens: ANSWER_TOKENS, ...options });
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
    const ask = (count: number) => this.ask([{ role: "system", content: this.words.take(count) }], { max_tokens: 1 });
    const [few, many] = [await ask(10), await ask(110)];
    return (many.promptTokens - few.promptTokens) / 100;
  }

  /** Streams one answer. Sampling is the server's default; the same in both, as both are llama.cpp. */
  async ask(messages: readonly Message[], options: object): Promise<Answer> {
    const streaming = { stream: true, stream_options: { include_usage: true } };
    const body = JSON.stringify({ model: this.model, messages, ...streaming, ...options });
    const headers = { "content-type": "application/json" };
    const askedMs = performance.now();
    const response = await fetch(`${this.server.url}/v1/chat/completions`, { method: "POST", headers, body });
    if (!response.ok || response.body === null) {
      throw new Error(`${this.server.name} answers ${response.status}: ${await response.text()}`);
    }
    const answer: Answer = {
      text: "",
      askedMs,
      pieceMs: [],
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
  if (content !== "") answer.pieceMs.push(performance.now());
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
