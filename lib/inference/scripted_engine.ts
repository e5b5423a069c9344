import type { ChatEvent, ChatRequest, DrawnToken, FinishReason } from "../contracts/chat.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { ChatEngine, EngineStatus } from "./engine.ts";
import { FairQueue } from "./fair_queue.ts";
import { StopMatcher } from "./stop_matcher.ts";

/** What an answer is made of, as the engine's own events say it. */
export type ScriptedContent = Extract<ChatEvent, { type: "reasoning" | "text" | "tool_call" | "tool_arguments" }>;

/** A step of a scripted answer: a piece of text, any other content, a wait, or an error that ends it here. */
export type ScriptStep = string | ScriptedContent | { wait: Promise<unknown> } | { fail: Error };

/** One answer to come. */
export interface ScriptedReply {
  /** Throws this before `admitted`. */
  refuse?: Error;
  /** Happens between `admitted` and `started`, before the request takes a place. */
  queue?: ScriptStep[];
  /** Happens after `started`. */
  steps?: ScriptStep[];
}

/** What a {@linkcode ScriptedEngine} is. */
export interface ScriptedEngineOptions {
  /** Replaces parts of the description; one token is one character. */
  model?: Partial<ModelDescription>;
  /** Most requests that wait while every sequence is busy. Default 64. */
  queuedMax?: number;
}

/**
 * An engine for tests that answers what it is told to, whatever tools and format a request has. Without a reply in its
 * queue it repeats the last message. Its tokens are Unicode characters, each drawn with certainty; limits, stop texts of
 * steps that are plain texts, queue, prefix reuse by owner and cancellation are real.
 */
export interface ScriptedEngine extends ChatEngine {
  /** Every request so far, refused ones included. */
  readonly requests: readonly ChatRequest[];
  /** Characters of answers that were taken from it so far. */
  readonly charactersTaken: number;
  /** Sets what {@linkcode ChatEngine.status} says of the model; `gone` makes every chat throw `engine_gone`. */
  state: EngineStatus["state"];
  /** Appends a reply for a request to come: one made of steps, or one that is written out. */
  enqueue(...reply: ScriptStep[] | [ScriptedReply]): void;
  /** Resolves when no request is active or queued. */
  idle(): Promise<void>;
}

const DESCRIPTION: ModelDescription = {
  id: "scripted",
  name: "Scripted",
  kind: "chat",
  engine: "llama",
  sizeBytes: 1_048_576,
  sha256: "0".repeat(64),
  modifiedAtMs: Date.UTC(2026, 0, 1),
  architecture: "script",
  parameters: 1_000_000,
  quantization: "F16",
  contextTokensTrained: 8_192,
  chatTemplate: "{{ messages }}",
  licence: "MIT",
  capabilities: { tools: false, reasoning: false, vision: false, infill: false },
  dimensions: null,
  contextTokensMax: 4_096,
  sequences: 4,
};

/** Creates a {@linkcode ScriptedEngine}. */
export function createScriptedEngine(options: ScriptedEngineOptions = {}): ScriptedEngine {
  return new Scripted(options);
}

/** A request on its way: `turn` resolves when it may take a sequence. */
interface Waiter {
  owner: string;
  turn: PromiseWithResolvers<void>;
}

class Scripted implements ScriptedEngine {
  readonly requests: ChatRequest[] = [];
  charactersTaken = 0;
  state: EngineStatus["state"] = "ready";
  readonly #model: ModelDescription;
  readonly #queuedMax: number;
  readonly #replies: ScriptedReply[] = [];
  readonly #waiting = new FairQueue<Waiter>();
  /** What each owner's last conversation holds, prompt and answer. */
  readonly #remembered = new Map<string, string[]>();
  readonly #closing = new AbortController();
  /** Ends the answers of an owner. */
  readonly #forgetting = new Map<string, AbortController>();
  #active = 0;
  #open = 0;
  #idle = Promise.withResolvers<void>();

  constructor({ model, queuedMax = 64 }: ScriptedEngineOptions) {
    this.#model = { ...DESCRIPTION, ...model };
    this.#queuedMax = queuedMax;
  }

  enqueue(...reply: ScriptStep[] | [ScriptedReply]): void {
    this.#replies.push(isWrittenOut(reply) ? reply[0] : { steps: reply as ScriptStep[] });
  }

  describe(): Promise<ModelDescription> {
    return Promise.resolve({ ...this.#model });
  }

  tokenize(text: string): Promise<number[]> {
    return Promise.resolve([...text].map((character) => character.codePointAt(0)!));
  }

  status(): Promise<EngineStatus> {
    return Promise.resolve({
      state: this.state,
      active: this.#active,
      queued: this.#waiting.size,
      queuedMax: this.#queuedMax,
      rssBytes: 1_048_576,
    });
  }

  async idle(): Promise<void> {
    while (this.#open > 0) await this.#idle.promise;
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    this.requests.push(request);
    this.#open++;
    try {
      const forgetting = this.#forgettingOf(request.owner).signal;
      yield* this.#answer(request, AbortSignal.any([signal, forgetting, this.#closing.signal]));
    } catch (error) {
      throw this.#closing.signal.aborted ? goneError() : error;
    } finally {
      this.#open--;
      if (this.#open === 0) this.#announceIdle();
    }
  }

  forget(owner: string): Promise<void> {
    this.#forgettingOf(owner).abort();
    this.#forgetting.delete(owner);
    this.#remembered.delete(owner);
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.idle();
  }

  #forgettingOf(owner: string): AbortController {
    const known = this.#forgetting.get(owner) ?? new AbortController();
    this.#forgetting.set(owner, known);
    return known;
  }

  async *#answer(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    throwIfAborted(signal);
    if (this.state === "gone") throw goneError();
    const prompt = [...renderPrompt(request)];
    const reply = this.#replies.shift() ?? { steps: [...lastText(request)] };
    if (reply.refuse !== undefined) throw reply.refuse;
    this.#refuseTooLong(prompt.length);
    const queuedAt = performance.now();
    const waiter = this.#takePlace(request.owner);
    try {
      yield { type: "admitted", promptTokens: prompt.length };
      for await (const _ of follow(reply.queue ?? [], signal));
      await orAborted(waiter.turn.promise, signal);
      const queueMs = performance.now() - queuedAt;
      const cachedTokens = this.#countCached(request.owner, prompt);
      yield { type: "started", cachedTokens, queueMs };
      yield* this.#speak(request, { prompt, cachedTokens, queueMs, steps: reply.steps ?? [], signal });
    } finally {
      this.#leave(waiter);
    }
  }

  async *#speak(request: ChatRequest, speech: Speech): AsyncGenerator<ChatEvent, void, void> {
    const { prompt, cachedTokens, queueMs } = speech;
    const startedAt = performance.now();
    const room = this.#model.contextTokensMax - prompt.length;
    const limit = Math.min(request.completionTokensMax ?? room, room);
    const speaker = new Speaker(request, limit);
    for await (const content of follow(speech.steps, speech.signal)) {
      const before = speaker.said.length;
      const events = speaker.say(content);
      this.charactersTaken += speaker.said.length - before;
      yield* events;
      if (speaker.ended) break;
    }
    yield* speaker.finish();
    const { said, reasoningTokens, finishReason } = speaker;
    this.#remembered.set(request.owner, [...prompt, ...said]);
    const usage = { promptTokens: prompt.length, cachedTokens, completionTokens: said.length, reasoningTokens };
    const timings = { queueMs, prefillMs: 0, decodeMs: performance.now() - startedAt };
    yield { type: "done", finishReason, usage, timings };
  }

  #announceIdle(): void {
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
  }

  #refuseTooLong(promptTokens: number): void {
    const { contextTokensMax } = this.#model;
    if (promptTokens < contextTokensMax) return;
    throw new DomainError(
      "context_length_exceeded",
      `The messages have ${promptTokens} tokens, but the model is served with a context of ${contextTokensMax} ` +
        "tokens, answer included; shorten them",
      { param: "messages", details: { promptTokens, contextTokensMax } },
    );
  }

  #takePlace(owner: string): Waiter {
    const waiter: Waiter = { owner, turn: Promise.withResolvers<void>() };
    if (this.#active < this.#model.sequences) {
      this.#active++;
      waiter.turn.resolve();
    } else if (!this.#waiting.push(waiter, this.#queuedMax)) {
      throw new DomainError("queue_full", `All places are taken: ${this.#waiting.size} requests are waiting`);
    }
    return waiter;
  }

  /** Gives a place, or a place in the queue, back. */
  #leave(waiter: Waiter): void {
    if (this.#waiting.remove(waiter)) return;
    const next = this.#waiting.shift();
    if (next === null) this.#active--;
    else next.turn.resolve();
  }

  #countCached(owner: string, prompt: string[]): number {
    const before = this.#remembered.get(owner) ?? [];
    const differs = prompt.findIndex((character, index) => character !== before[index]);
    return Math.max(0, Math.min(differs === -1 ? prompt.length : differs, prompt.length - 1));
  }
}

/** What one answer is made of. */
interface Speech {
  prompt: string[];
  cachedTokens: number;
  queueMs: number;
  steps: ScriptStep[];
  signal: AbortSignal;
}

/** Turns what a script says into events, up to a limit or a stop text, and keeps count. */
class Speaker {
  /** Every character so far: of thoughts, texts and arguments. */
  readonly said: string[] = [];
  reasoningTokens = 0;
  finishReason: FinishReason = "stop";
  ended = false;
  readonly #matcher: StopMatcher;
  readonly #alternatives: number | null;
  readonly #limit: number;

  constructor({ stop, logprobs }: ChatRequest, limit: number) {
    this.#matcher = new StopMatcher(stop);
    this.#alternatives = logprobs;
    this.#limit = limit;
  }

  say(content: string | ScriptedContent): ChatEvent[] {
    if (typeof content === "string") return this.#sayText(content);
    const held = this.#flush();
    if (content.type === "tool_call") {
      this.finishReason = "tool_calls";
      return [...held, content];
    }
    const text = this.#take(content.text);
    if (content.type === "reasoning") this.reasoningTokens += [...text].length;
    return [...held, content.type === "text" ? this.#toText(text, content.tokens) : { ...content, text }];
  }

  /** What was held back because it could have become a stop text. */
  finish(): ChatEvent[] {
    return this.ended && this.finishReason === "stop" ? [] : this.#flush();
  }

  #sayText(piece: string): ChatEvent[] {
    const { text, stopped } = this.#matcher.push(this.#take(piece));
    if (stopped) {
      this.ended = true;
      this.finishReason = "stop";
    }
    return text === "" ? [] : [this.#toText(text)];
  }

  /** Counts as much of `text` as the limit leaves, and returns that. */
  #take(text: string): string {
    const characters = [...text].slice(0, this.#limit - this.said.length);
    for (const character of characters) this.said.push(character);
    if (this.said.length === this.#limit) {
      this.ended = true;
      this.finishReason = "length";
    }
    return characters.join("");
  }

  #flush(): ChatEvent[] {
    const text = this.#matcher.flush();
    return text === "" ? [] : [this.#toText(text)];
  }

  #toText(text: string, tokens?: DrawnToken[]): ChatEvent {
    if (this.#alternatives === null) return { type: "text", text };
    return { type: "text", text, tokens: tokens ?? drawWithCertainty(text, this.#alternatives) };
  }
}

function drawWithCertainty(text: string, alternatives: number): DrawnToken[] {
  return [...text].map((character) => {
    const token = { text: character, bytes: [...new TextEncoder().encode(character)], logprob: 0 };
    return { ...token, top: alternatives === 0 ? [] : [token] };
  });
}

/** Goes through steps one by one and yields what they say. */
async function* follow(
  steps: ScriptStep[],
  signal: AbortSignal,
): AsyncGenerator<string | ScriptedContent, void, void> {
  for (const step of steps) {
    throwIfAborted(signal);
    if (typeof step === "string" || "type" in step) yield step;
    else if ("fail" in step) throw step.fail;
    else await orAborted(step.wait, signal);
  }
  throwIfAborted(signal);
}

async function orAborted(wait: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = () => aborted.resolve();
  signal.addEventListener("abort", onAbort);
  try {
    if (!signal.aborted) await Promise.race([wait, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  throwIfAborted(signal);
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new DomainError("request_cancelled", "The request was cancelled");
}

function goneError(): DomainError {
  return new DomainError("engine_gone", "The process that holds the model ended in the middle of this request");
}

function renderPrompt({ messages, prompt, answerBeginning }: ChatRequest): string {
  if (prompt !== null) return prompt;
  const turns = (messages ?? []).map(({ role, content, reasoning = "", toolCalls = [] }) => {
    const calls = toolCalls.map((call) => ` ${call.name}(${call.arguments})`).join("");
    return `${role}: ${reasoning}${content}${calls}\n`;
  });
  return [...turns, answerBeginning ?? ""].join("");
}

function lastText({ messages, prompt }: ChatRequest): string {
  return prompt ?? messages?.at(-1)?.content ?? "";
}

function isWrittenOut(reply: ScriptStep[] | [ScriptedReply]): reply is [ScriptedReply] {
  const [first] = reply;
  return typeof first === "object" && ("steps" in first || "queue" in first || "refuse" in first);
}
