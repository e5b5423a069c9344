import type { Context } from "hono";
import type { z } from "zod";
import { type ChatEvent, ChatRequest, type DrawnToken, type ToolCall } from "../../lib/contracts/chat.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import type { FunctionEnv } from "./create_function.ts";

/** What a function asks an engine; what it leaves out has the contract's defaults. */
export type AskedRequest = Omit<z.input<typeof ChatRequest>, "id" | "owner">;

/** The last event of an answer that was completed. */
export type AnswerDone = Extract<ChatEvent, { type: "done" }>;

/** An answer that was admitted: nothing but its own failure can come any more, and a status may be sent. */
export interface Answer {
  events: AsyncGenerator<ChatEvent, void, void>;
  /** Stops the engine, and ends `events` although nobody may have asked for the first of them. */
  abort(): void;
}

/** An answer that was read to its end. */
export interface WholeAnswer {
  reasoning: string;
  text: string;
  toolCalls: ToolCall[];
  /** What was drawn for the text; empty unless log-probabilities were asked for. */
  tokens: DrawnToken[];
  done: AnswerDone;
}

/**
 * The model that a client means by `name`, with or without Ollama's `:latest`.
 *
 * @throws {DomainError} `model_not_found` that names those there are.
 */
export async function findModel(
  c: Context<FunctionEnv>,
  inference: Inference,
  name: string,
): Promise<ModelDescription> {
  const model = await inference.describe(name.replace(/:latest$/, ""));
  c.get("report").add({ model: model.id });
  return model;
}

/**
 * Asks the engine and waits until it has admitted the request. The client that goes away stops the engine, before and
 * after that.
 *
 * @throws {DomainError} what the engine refuses a request with.
 */
export async function openAnswer(
  c: Context<FunctionEnv>,
  inference: Pick<Inference, "chat">,
  request: AskedRequest,
): Promise<Answer> {
  const abortion = new AbortController();
  const abort = () => abortion.abort();
  const client = c.get("client").signal;
  client.addEventListener("abort", abort, { once: true });
  if (client.aborted) abort();
  const asked = ChatRequest.parse({ ...request, id: c.get("requestId"), owner: c.get("owner") });
  const events = follow(c, inference.chat(asked, abortion.signal), () => client.removeEventListener("abort", abort));
  const first = await events.next();
  if (first.done || first.value.type !== "admitted") throw new Error("The engine began an answer without admitting it");
  return {
    events,
    abort() {
      abort();
      // A generator that waits to be asked does not see the signal: it would hold what it has open for ever.
      events.return().catch(() => {});
    },
  };
}

/** Reads an answer to its end. */
export async function collectAnswer({ events }: Pick<Answer, "events">): Promise<WholeAnswer> {
  const reasoning: string[] = [];
  const texts: string[] = [];
  const tokens: DrawnToken[] = [];
  const calls: (Omit<ToolCall, "arguments"> & { pieces: string[] })[] = [];
  for await (const event of events) {
    if (event.type === "reasoning") reasoning.push(event.text);
    if (event.type === "text") {
      texts.push(event.text);
      for (const token of event.tokens ?? []) tokens.push(token);
    }
    if (event.type === "tool_call") calls.push({ id: event.id, name: event.name, pieces: [] });
    if (event.type === "tool_arguments") calls.at(-1)?.pieces.push(event.text);
    if (event.type !== "done") continue;
    const toolCalls = calls.map(({ id, name, pieces }) => ({ id, name, arguments: pieces.join("") }));
    return { reasoning: reasoning.join(""), text: texts.join(""), toolCalls, tokens, done: event };
  }
  throw unfinishedError();
}

async function* follow(
  c: Context<FunctionEnv>,
  events: AsyncIterable<ChatEvent>,
  onEnd: () => void,
): AsyncGenerator<ChatEvent, void, void> {
  try {
    for await (const event of events) {
      c.get("report").addEvent(event);
      yield event;
      if (event.type === "done") return;
    }
    throw unfinishedError();
  } finally {
    onEnd();
  }
}

function unfinishedError(): Error {
  return new Error("The engine's answer ended without done");
}
