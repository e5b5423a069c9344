import type { Usage } from "../../lib/contracts/chat.ts";
import type { Answer, AnswerDone } from "../_shared/answers.ts";
import type { ChatCompletion } from "./body.ts";

/** What every piece of one completion repeats. */
interface CompletionHead {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
  system_fingerprint: null;
}

/** Begins a completion of `model`, which gets an id of its own. */
export function createHead(model: string): CompletionHead {
  return {
    id: `chatcmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: null,
  };
}

/** The whole completion as one object. */
export function toCompletion(head: CompletionHead, text: string, done: AnswerDone): ChatCompletion {
  const message = { role: "assistant" as const, content: text, refusal: null };
  return {
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: done.finishReason }],
    usage: toUsage(done.usage),
  };
}

/**
 * The completion piece by piece, in the order that OpenAI's API has and Copilot's parser needs: the role, which leaves
 * before the first token is there, the texts, the reason to finish, and the usage when it was asked for.
 */
export async function* toChunks(
  head: CompletionHead,
  answer: Answer,
  { includeUsage }: { includeUsage: boolean },
): AsyncGenerator<object, void, void> {
  yield toChunk(head, { role: "assistant", content: "" });
  for await (const event of answer.events) {
    if (event.type === "text") yield toChunk(head, { content: event.text });
    if (event.type !== "done") continue;
    yield toChunk(head, {}, event.finishReason);
    if (includeUsage) yield { ...head, object: "chat.completion.chunk", choices: [], usage: toUsage(event.usage) };
  }
}

function toChunk(head: CompletionHead, delta: object, finishReason: string | null = null): object {
  const choice = { index: 0, delta, logprobs: null, finish_reason: finishReason };
  return { ...head, object: "chat.completion.chunk", choices: [choice] };
}

function toUsage({ promptTokens, completionTokens, cachedTokens }: Usage): ChatCompletion["usage"] {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
