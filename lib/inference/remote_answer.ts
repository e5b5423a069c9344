import { z } from "zod";
import type { ChatEvent, DrawnToken, FinishReason, TokenLogprob, Usage } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { CallAssembler, CallPiece } from "./remote_calls.ts";

const Alternative = z.object({
  token: z.string(),
  bytes: z.array(z.number().int().min(0).max(255)).nullish(),
  logprob: z.number(),
});

/** Of a chat, and of llama-server's completions too. */
const TokenList = z.object({
  content: z.array(Alternative.extend({ top_logprobs: z.array(Alternative).nullish() })).nullish(),
});

/** Of completions, as OpenAI has them. */
const TokenColumns = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
});

const Choice = z.object({
  delta: z.object({
    content: z.string().nullish(),
    /** llama-server, Rookery and older vLLM; `reasoning` is Ollama's and newer vLLM's name of the same. */
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
    tool_calls: z.array(CallPiece).nullish(),
  }).nullish(),
  /** Of completions. */
  text: z.string().nullish(),
  finish_reason: z.string().nullish(),
  logprobs: z.union([TokenColumns, TokenList]).nullish(),
});

const Chunk = z.object({
  choices: z.array(Choice).nullish(),
  usage: z.object({
    prompt_tokens: z.number().int().min(0),
    completion_tokens: z.number().int().min(0).nullish(),
    prompt_tokens_details: z.object({ cached_tokens: z.number().int().min(0).nullish() }).nullish(),
    completion_tokens_details: z.object({ reasoning_tokens: z.number().int().min(0).nullish() }).nullish(),
  }).nullish(),
});
type Chunk = z.infer<typeof Chunk>;

/** What an {@linkcode RemoteAnswer} cannot read in the stream itself. */
export interface RemoteAnswerOptions {
  /** Milliseconds that never run backwards. */
  nowMs(): number;
  /** When the request was sent. */
  sentAtMs: number;
  /** Counts the tokens of a text, more or less, for servers that tell no usage. */
  estimate(text: string): number;
  /** Estimate of the prompt's tokens. */
  promptTokens: number;
  /** Whether the answer has to call a tool. */
  mustCall: boolean;
}

/** Reasons to finish that mean a failure: vLLM's, and those of some proxies. */
const FAILURES = new Set(["abort", "error"]);

/** Turns the pieces that a server streams into the events of an answer. */
export class RemoteAnswer {
  readonly #options: RemoteAnswerOptions;
  readonly #calls = new CallAssembler();
  readonly #acceptedAtMs: number;
  #startedAtMs: number | null = null;
  #finishReason: string | null = null;
  #usage: Usage | null = null;
  /** Tokens whose text is not whole yet. */
  #tokens: DrawnToken[] = [];
  #said = "";
  #thought = "";

  /** To be made when the server has accepted the request. */
  constructor(options: RemoteAnswerOptions) {
    this.#options = options;
    this.#acceptedAtMs = options.nowMs();
  }

  /** Whether the server has said why the answer ends; usage may still follow. */
  get finished(): boolean {
    return this.#finishReason !== null;
  }

  /** @throws {Error} when it is no piece of an answer. */
  *read(data: unknown): Generator<ChatEvent, void, void> {
    const chunk = Chunk.parse(data);
    if (chunk.usage) this.#usage = toUsage(chunk.usage);
    const choice = chunk.choices?.[0];
    if (choice === undefined) return;
    for (const event of this.#readChoice(choice)) {
      yield* this.#start();
      yield event;
    }
    if (choice.finish_reason) this.#finishReason = choice.finish_reason;
  }

  /**
   * The events that end the answer, once the stream has ended.
   *
   * @throws {Error} when the server did not finish it, or says that it failed; a {@linkcode DomainError} with
   *   `answer_invalid` when it passed over that a tool has to be called.
   */
  *finish(): Generator<ChatEvent, void, void> {
    const reason = this.#finishReason;
    if (reason === null || FAILURES.has(reason)) throw new Error(`It ended with the reason ${reason}`);
    yield* this.#start();
    // A call that a limit cut off before its first argument has none yet.
    if (reason !== "length") yield* this.#calls.end();
    if (reason !== "length" && this.#options.mustCall && this.#calls.count === 0) {
      throw new DomainError(
        "answer_invalid",
        "The answer calls no tool, though it has to: its server does not force calls",
      );
    }
    const usage = this.#usage ?? this.#estimateUsage();
    const { sentAtMs, nowMs } = this.#options;
    const startedAtMs = this.#startedAtMs!;
    const timings = {
      queueMs: this.#acceptedAtMs - sentAtMs,
      prefillMs: startedAtMs - this.#acceptedAtMs,
      decodeMs: nowMs() - startedAtMs,
    };
    yield { type: "done", finishReason: this.#toFinishReason(reason), usage, timings };
  }

  /** The first content tells that the request has left the server's queue; what was cached it tells at the end. */
  *#start(): Generator<ChatEvent, void, void> {
    if (this.#startedAtMs !== null) return;
    this.#startedAtMs = this.#options.nowMs();
    const queueMs = this.#acceptedAtMs - this.#options.sentAtMs;
    yield { type: "started", cachedTokens: this.#usage?.cachedTokens ?? 0, queueMs };
  }

  *#readChoice({ delta, text, logprobs }: z.infer<typeof Choice>): Generator<ChatEvent, void, void> {
    const thought = delta?.reasoning_content || delta?.reasoning || "";
    if (thought !== "") {
      this.#thought += thought;
      yield { type: "reasoning", text: thought };
    }
    const said = delta?.content || text || "";
    // Thoughts and calls are drawn too, but probabilities are told of texts alone.
    if (logprobs && (said !== "" || (thought === "" && !delta?.tool_calls?.length))) {
      this.#tokens.push(...("tokens" in logprobs ? fromColumns(logprobs) : fromList(logprobs)));
    }
    if (said !== "") {
      this.#said += said;
      const tokens = this.#tokens;
      this.#tokens = [];
      yield { type: "text", text: said, ...(tokens.length === 0 ? {} : { tokens }) };
    }
    for (const piece of delta?.tool_calls ?? []) yield* this.#calls.push(piece);
  }

  #toFinishReason(reason: string): FinishReason {
    if (reason === "length") return "length";
    // Older servers say "stop" after calls.
    return this.#calls.count > 0 ? "tool_calls" : "stop";
  }

  #estimateUsage(): Usage {
    const { estimate, promptTokens } = this.#options;
    const reasoningTokens = estimate(this.#thought);
    return { promptTokens, cachedTokens: 0, completionTokens: estimate(this.#said) + reasoningTokens, reasoningTokens };
  }
}

function toUsage(usage: NonNullable<Chunk["usage"]>): Usage {
  return {
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens ?? 0,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

function fromList({ content }: z.infer<typeof TokenList>): DrawnToken[] {
  return (content ?? []).map(({ top_logprobs, ...token }) => {
    return { ...toToken(token), top: (top_logprobs ?? []).map(toToken) };
  });
}

function toToken({ token, bytes, logprob }: z.infer<typeof Alternative>): TokenLogprob {
  return { text: token, bytes: bytes ?? [...new TextEncoder().encode(token)], logprob };
}

function fromColumns({ tokens, token_logprobs, top_logprobs }: z.infer<typeof TokenColumns>): DrawnToken[] {
  return tokens.map((token, at) => {
    const top = Object.entries(top_logprobs?.[at] ?? {}).map(([token, logprob]) => toToken({ token, logprob }));
    const drawn = toToken({ token, logprob: token_logprobs[at] ?? 0 });
    return { ...drawn, top: top.sort((a, b) => b.logprob - a.logprob) };
  });
}
