import type { Answer, AnswerDone } from "../_shared/answers.ts";

/** What the last line of an answer tells. */
export interface Ending {
  done: true;
  done_reason: "stop" | "length" | "load";
  total_duration: number;
  load_duration: number;
  prompt_eval_count: number;
  prompt_eval_duration: number;
  eval_count: number;
  eval_duration: number;
}

/** What every line begins with. */
export function createLineHead(model: string): { model: string; created_at: string } {
  return { model, created_at: new Date().toISOString() };
}

/** The end of an answer. What Ollama calls loading is what came before the prompt was read: here, the queue. */
export function toEnding({ finishReason, usage, timings }: AnswerDone): Ending {
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

/**
 * An answer line by line: one for each text and a last one with the numbers. `wrapText` puts a text where the route's
 * clients look for it, and every line has one.
 */
export async function* toLines(
  model: string,
  answer: Answer,
  wrapText: (text: string) => object,
): AsyncGenerator<object, void, void> {
  for await (const event of answer.events) {
    if (event.type === "text") yield { ...createLineHead(model), ...wrapText(event.text), done: false };
    if (event.type === "done") yield { ...createLineHead(model), ...wrapText(""), ...toEnding(event) };
  }
}

function toNanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}
