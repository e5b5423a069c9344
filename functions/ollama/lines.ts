import type { Answer, AnswerDone, WholeAnswer } from "../_shared/answers.ts";
import { type DrawnLogprob, toDrawnLogprob } from "../_shared/logprobs.ts";
import type { CalledTool } from "./schemas.ts";

/** A piece of an answer, before a route puts it where its clients look. */
export interface Piece {
  text: string;
  thinking: string;
  calls: CalledTool[];
  logprobs: DrawnLogprob[];
}

/** How a route's lines hold a piece. */
export type WrapPiece = (piece: Piece) => object;

/** What the last line of an answer tells. */
interface Ending {
  done: true;
  done_reason: "stop" | "length";
  total_duration: number;
  load_duration: number;
  prompt_eval_count: number;
  prompt_eval_duration: number;
  eval_count: number;
  eval_duration: number;
}

const EMPTY: Piece = { text: "", thinking: "", calls: [], logprobs: [] };

/** A piece as a line of `/api/chat`. */
export function wrapInMessage({ text, thinking, calls, logprobs }: Piece): object {
  const message = {
    role: "assistant",
    content: text,
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return { message, ...(logprobs.length === 0 ? {} : { logprobs }) };
}

/** A piece as a line of `/api/generate`, which knows no tools. */
export function wrapInResponse({ text, thinking, logprobs }: Piece): object {
  return {
    response: text,
    ...(thinking === "" ? {} : { thinking }),
    ...(logprobs.length === 0 ? {} : { logprobs }),
  };
}

/** The line that says of a request without a prompt what was done with its model. */
export function toLoadLine(name: string, wrap: WrapPiece, reason: "load" | "unload"): object {
  return { ...createLineHead(name), ...wrap(EMPTY), done: true, done_reason: reason };
}

/**
 * An answer line by line: one for each piece and a last one with the numbers. `name` is the model's as the client said
 * it: clients compare names, with `:latest` or without.
 */
export async function* toLines(name: string, answer: Answer, wrap: WrapPiece): AsyncGenerator<object, void, void> {
  for await (const part of readPieces(answer)) {
    if ("done" in part) yield { ...createLineHead(name), ...wrap(EMPTY), ...toEnding(part.done) };
    else yield { ...createLineHead(name), ...wrap(part), done: false };
  }
}

/** The whole answer as one line. */
export function toWholeLine(name: string, whole: WholeAnswer, wrap: WrapPiece): object {
  const { text, reasoning, toolCalls, tokens, done } = whole;
  const calls = toolCalls.flatMap(({ name, arguments: written }, index) => toCalledTool({ index, name, written }));
  const piece = { text, thinking: reasoning, calls, logprobs: tokens.map(toDrawnLogprob) };
  return { ...createLineHead(name), ...wrap(piece), ...toEnding(done) };
}

/** Nanoseconds, as all durations of Ollama's API are. */
export function toNanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

function createLineHead(model: string): { model: string; created_at: string } {
  return { model, created_at: new Date().toISOString() };
}

/** A call as far as it has come. */
interface WrittenCall {
  index: number;
  name: string;
  /** Its arguments as JSON text. */
  written: string;
}

/** Reads an answer and puts its calls together: Ollama's clients take a call whole. */
async function* readPieces(answer: Answer): AsyncGenerator<Piece | { done: AnswerDone }, void, void> {
  let call: WrittenCall | null = null;
  for await (const event of answer.events) {
    if (event.type === "tool_arguments" && call !== null) call.written += event.text;
    if (call !== null && (event.type === "tool_call" || event.type === "done")) {
      const calls = toCalledTool(call);
      if (calls.length > 0) yield { ...EMPTY, calls };
      call = null;
    }
    if (event.type === "tool_call") call = { index: event.index, name: event.name, written: "" };
    if (event.type === "reasoning") yield { ...EMPTY, thinking: event.text };
    if (event.type === "text") yield { ...EMPTY, text: event.text, logprobs: event.tokens?.map(toDrawnLogprob) ?? [] };
    if (event.type === "done") yield { done: event };
  }
}

/**
 * The call as clients want it, its arguments an object; none when they were cut by a limit of tokens. It has no id: Zed
 * takes a call to be its function alone, and the others go by order.
 */
function toCalledTool({ index, name, written }: WrittenCall): CalledTool[] {
  try {
    return [{ function: { index, name, arguments: JSON.parse(written === "" ? "{}" : written) } }];
  } catch {
    return [];
  }
}

/** The end of an answer. What Ollama calls loading is what came before the prompt was read: here, the queue. */
function toEnding({ finishReason, usage, timings }: AnswerDone): Ending {
  const { queueMs, prefillMs, decodeMs } = timings;
  return {
    done: true,
    // Ollama knows no reason of its own for calls.
    done_reason: finishReason === "tool_calls" ? "stop" : finishReason,
    total_duration: toNanoseconds(queueMs + prefillMs + decodeMs),
    load_duration: toNanoseconds(queueMs),
    prompt_eval_count: usage.promptTokens,
    prompt_eval_duration: toNanoseconds(prefillMs),
    eval_count: usage.completionTokens,
    eval_duration: toNanoseconds(decodeMs),
  };
}
