import type { ChatEvent, ChatMessage, ChatRequest } from "../contracts/chat.ts";
import type { AnswerUsage } from "../contracts/conversation.ts";
import { DomainError } from "../errors.ts";
import type { Inference } from "../inference/inference.ts";
import type { AnswerRecord, Ending } from "./answer_record.ts";
import type { AnswerRunner } from "./answer_runner.ts";
import { asCaller, type Caller, takeRow } from "./caller.ts";
import { toPiece } from "./chunk_writer.ts";
import { explainFailure, toUsage } from "./running_answer.ts";

/** A turn of a program that holds the conversation itself and wants it kept here, too. */
export interface TurnOrder {
  runner: AnswerRunner;
  conversationId: string;
  /** What the turn follows on, or null. */
  parentId: string | null;
  /** What the program told the model: of it, what came after the model's last words is the turn's question. */
  messages: readonly ChatMessage[];
}

/**
 * A chat that stores what is asked and answered. Nothing is stored of a request that the engine refuses, and nothing is
 * computed for who may not write in the conversation. Unlike in Rookery's own conversations the answer ends with its
 * reader, who makes it; whoever may write there can stop it as well.
 */
export class RecordedTurn implements Pick<Inference, "chat"> {
  #answerId: string | null = null;

  constructor(private readonly caller: Caller, private readonly order: TurnOrder) {}

  /** The stored answer, once the engine has admitted the request: the parent of the next turn. */
  get answerId(): string | null {
    return this.#answerId;
  }

  /** @throws {DomainError} as the engine does, and `not_found`, `forbidden` or `conflict` before anything is computed. */
  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const { runner } = this.order;
    const lost = new AbortController();
    let record: AnswerRecord | null = null;
    let end: Ending = { state: "interrupted", usage: null, error: null };
    let isStopped = false;
    const onLost = () => lost.abort();
    const onStop = () => {
      isStopped = true;
      lost.abort();
    };
    try {
      for await (const event of runner.inference.chat(request, AbortSignal.any([signal, lost.signal]))) {
        if (event.type === "admitted") {
          this.#answerId = await this.#begin(request.model);
          record = runner.record(this.#answerId, { onLost, onStop });
        }
        const piece = toPiece(event);
        if (piece !== null) record?.add(piece);
        if (event.type === "done") end = toComplete(toUsage(event));
        yield event;
      }
    } catch (error) {
      if (isStopped) end = { ...end, state: "stopped" };
      else if (!signal.aborted) {
        end = explainFailure(error, { answerId: this.#answerId ?? request.id, log: runner.log });
      }
      throw error;
    } finally {
      await record?.finish(end);
    }
  }

  async #begin(model: string): Promise<string> {
    const { conversationId, parentId, messages, runner } = this.order;
    const question = messages.slice(messages.findLastIndex(({ role }) => role === "assistant") + 1);
    if (question.length === 0) {
      const message =
        'Invalid value of "messages": expected something to answer behind the last words of the assistant';
      throw new DomainError("invalid_request", message, { param: "messages" });
    }
    return await asCaller(this.caller, async (session) => {
      let parent = parentId;
      for (const { role, content, toolCallId = null } of question) {
        const text = "select app.post_message($1, $2, $3, $4, null, $5) as id";
        const values = [conversationId, parent, role, content.replaceAll("\0", "\ufffd"), toolCallId];
        parent = takeRow(await session.query<{ id: string }>(text, values), "message").id;
      }
      const begin = "select app.begin_answer($1, $2, $3) as id";
      return takeRow(await session.query<{ id: string }>(begin, [parent, model, runner.instance]), "message").id;
    });
  }
}

function toComplete(usage: AnswerUsage): Ending {
  return { state: "complete", usage, error: null };
}
