import { type ChatEvent, type ChatMessage, ChatRequest, type ToolCall } from "../contracts/chat.ts";
import type { AnswerError, AnswerSettings, AnswerUsage } from "../contracts/conversation.ts";
import { DomainError, toReport } from "../errors.ts";
import type { Inference } from "../inference/inference.ts";
import type { Logger } from "../log.ts";
import type { AnswerEnding, AnswerStore } from "./answer_store.ts";
import { ChunkWriter, type PieceEvent, toPiece } from "./chunk_writer.ts";

/** An answer to make. */
export interface AnswerOrder {
  answerId: string;
  /** The account that asked: its KV states are reused, and its bound counts. */
  owner: string;
  model: string;
  settings: AnswerSettings;
  /** What the answer begins with: the pieces of one that was cut. */
  beginning: readonly PieceEvent[];
  /** Reads the ancestors of the answer as the model is told of them, the oldest first. */
  loadContext(): Promise<ChatMessage[]>;
}

/** What a {@linkcode RunningAnswer} works with. */
export interface AnswerTools {
  inference: Inference;
  store: AnswerStore;
  log: Logger;
  chunkIntervalMs: number;
  /** Aborts when the runtime ends and nothing may wait any longer for the database. */
  closing: AbortSignal;
}

const INTERRUPTED: AnswerError = {
  code: "engine_gone",
  message: "Rookery ended in the middle of this answer; it can be continued",
};

/** One answer while it is made. Nobody has to read it. */
export class RunningAnswer {
  /** Resolves when the answer is stored as what it came to; never rejects. */
  readonly ended: Promise<void>;
  readonly #abortion = new AbortController();
  readonly #writer: ChunkWriter;
  readonly #content = new AnswerContent();
  #endsAs: "stopped" | "interrupted" | null = null;
  /** What keeps pieces from being stored. */
  #lost: unknown = null;

  constructor(readonly order: AnswerOrder, private readonly tools: AnswerTools) {
    const { store, chunkIntervalMs, closing } = tools;
    this.#writer = new ChunkWriter({
      store: (chunks, firstSeq) => store.append(order.answerId, chunks, { firstSeq, signal: closing }),
      intervalMs: chunkIntervalMs,
      onFailure: (error) => {
        this.#lost = error;
        this.#abortion.abort();
      },
    });
    this.ended = this.#run();
  }

  /** Ends it with what is there. */
  end(as: "stopped" | "interrupted"): void {
    this.#endsAs ??= as;
    this.#abortion.abort();
  }

  async #run(): Promise<void> {
    let end: Pick<AnswerEnding, "state" | "usage" | "error">;
    try {
      for (const piece of this.order.beginning) this.#add(piece);
      end = { state: "complete", usage: await this.#generate(), error: null };
    } catch (error) {
      end = { usage: null, ...this.#explain(error) };
    }
    await this.#writer.end();
    await this.#finish(end);
  }

  async #generate(): Promise<AnswerUsage> {
    const { order, tools } = this;
    const messages = await order.loadContext();
    const request = toRequest(order, { messages, beginning: this.#content.text });
    for await (const event of tools.inference.chat(request, this.#abortion.signal)) {
      const piece = toPiece(event);
      if (piece !== null) this.#add(piece);
      if (event.type === "done") return toUsage(event);
    }
    throw new Error("The engine's answer ended without done");
  }

  #add(piece: PieceEvent): void {
    this.#content.add(piece);
    this.#writer.push(piece);
  }

  #explain(error: unknown): Pick<AnswerEnding, "state" | "error"> {
    if (this.#endsAs === "stopped") return { state: "stopped", error: null };
    if (this.#endsAs === "interrupted") return { state: "interrupted", error: INTERRUPTED };
    const { code, message } = toReport(error);
    if (code === "internal_error") this.tools.log.error("answer_failed", { answer: this.order.answerId, error });
    return { state: code === "engine_gone" ? "interrupted" : "failed", error: { code, message } };
  }

  async #finish(end: Pick<AnswerEnding, "state" | "usage" | "error">): Promise<void> {
    const { order: { answerId }, tools: { store, log, closing } } = this;
    // Another runtime took this one for dead, or the conversation was purged: there is nothing left to end.
    if (isOver(this.#lost)) return log.warn("answer_lost", { answer: answerId, error: this.#lost });
    try {
      await store.finish(answerId, { ...end, ...this.#content.toFields() }, closing);
    } catch (error) {
      if (isOver(error)) return log.warn("answer_lost", { answer: answerId, error });
      log.error("answer_not_stored", { answer: answerId, error });
    }
  }
}

/** Pieces of an answer, put together. */
class AnswerContent {
  readonly #texts: string[] = [];
  readonly #reasoning: string[] = [];
  readonly #calls: ToolCall[] = [];

  get text(): string {
    return this.#texts.join("");
  }

  add(piece: PieceEvent): void {
    if (piece.type === "text") this.#texts.push(piece.text);
    else if (piece.type === "reasoning") this.#reasoning.push(piece.text);
    else {
      const call = this.#calls[piece.index] ??= { id: piece.id ?? "", name: piece.name ?? "", arguments: "" };
      call.arguments += piece.arguments;
    }
  }

  toFields(): Pick<AnswerEnding, "content" | "reasoning" | "toolCalls"> {
    return {
      content: this.text,
      reasoning: this.#reasoning.length === 0 ? null : this.#reasoning.join(""),
      toolCalls: this.#calls.length === 0 ? null : this.#calls,
    };
  }
}

function toRequest(
  { answerId, owner, model, settings }: AnswerOrder,
  { messages, beginning }: { messages: ChatMessage[]; beginning: string },
): ChatRequest {
  return ChatRequest.parse({
    id: answerId,
    owner,
    model,
    messages,
    prompt: null,
    sampling: settings.sampling ?? {},
    completionTokensMax: settings.completionTokensMax ?? null,
    ...(settings.reasoning === undefined ? {} : { reasoning: settings.reasoning }),
    answerBeginning: beginning === "" ? null : beginning,
  });
}

function toUsage({ usage, timings, finishReason }: Extract<ChatEvent, { type: "done" }>): AnswerUsage {
  return { ...usage, ...timings, finishReason };
}

function isOver(error: unknown): boolean {
  return error instanceof DomainError && (error.code === "conflict" || error.code === "not_found");
}
