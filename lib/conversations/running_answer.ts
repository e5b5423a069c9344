import { type ChatEvent, type ChatMessage, ChatRequest } from "../contracts/chat.ts";
import type { AnswerError, AnswerSettings, AnswerUsage } from "../contracts/conversation.ts";
import { toReport } from "../errors.ts";
import type { Inference } from "../inference/inference.ts";
import type { Logger } from "../log.ts";
import { AnswerRecord, type AnswerRecordOptions, type Ending } from "./answer_record.ts";
import { type PieceEvent, toPiece } from "./chunk_writer.ts";

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
export interface AnswerTools extends Omit<AnswerRecordOptions, "answerId" | "onLost"> {
  inference: Inference;
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
  readonly #record: AnswerRecord;
  #endsAs: "stopped" | "interrupted" | null = null;

  constructor(readonly order: AnswerOrder, private readonly tools: AnswerTools) {
    const { answerId } = order;
    this.#record = new AnswerRecord({ ...tools, answerId, onLost: () => this.#abortion.abort() });
    this.ended = this.#run();
  }

  /** Ends it with what is there. */
  end(as: "stopped" | "interrupted"): void {
    this.#endsAs ??= as;
    this.#abortion.abort();
  }

  async #run(): Promise<void> {
    let end: Ending;
    try {
      for (const piece of this.order.beginning) this.#record.add(piece);
      end = { state: "complete", usage: await this.#generate(), error: null };
    } catch (error) {
      end = this.#explain(error);
    }
    await this.#record.finish(end);
  }

  async #generate(): Promise<AnswerUsage> {
    const { order, tools } = this;
    const messages = await order.loadContext();
    this.#abortion.signal.throwIfAborted();
    const request = toRequest(order, { messages, beginning: this.#record.text });
    for await (const event of tools.inference.chat(request, this.#abortion.signal)) {
      const piece = toPiece(event);
      if (piece !== null) this.#record.add(piece);
      if (event.type === "done") return toUsage(event);
    }
    throw new Error("The engine's answer ended without done");
  }

  #explain(error: unknown): Ending {
    if (this.#endsAs === "stopped") return { state: "stopped", usage: null, error: null };
    if (this.#endsAs === "interrupted") return { state: "interrupted", usage: null, error: INTERRUPTED };
    return explainFailure(error, { answerId: this.order.answerId, log: this.tools.log });
  }
}

/** What the failure of an answer makes of it. */
export function explainFailure(error: unknown, { answerId, log }: { answerId: string; log: Logger }): Ending {
  const { code, message } = toReport(error);
  if (code === "internal_error") log.error("answer_failed", { answer: answerId, error });
  return { state: code === "engine_gone" ? "interrupted" : "failed", usage: null, error: { code, message } };
}

/** What the last event says that an answer took. */
export function toUsage({ usage, timings, finishReason }: Extract<ChatEvent, { type: "done" }>): AnswerUsage {
  return { ...usage, ...timings, finishReason };
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
