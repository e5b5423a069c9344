import type { ChatEvent, Usage } from "../../lib/contracts/chat.ts";
import { type AnswerGroup, type GroupEvent, mergeAnswers } from "../_shared/answer_group.ts";
import { toCompletionUsage } from "../_shared/usage.ts";
import { type CompletionForm, type CompletionHead, toFinishReason } from "./completion.ts";
import { toLogprobs } from "./logprobs.ts";

/** How a stream was asked for. */
interface StreamForm extends CompletionForm {
  includeUsage: boolean;
}

/**
 * The completion piece by piece, in the order that OpenAI's API has and Copilot's parsers need: the role, which leaves
 * before the first token is there, what is thought, said and called, the reason to finish, and the usage when it was
 * asked for. A call begins with its id, name and empty arguments; the pieces of its arguments have the index alone, as
 * OpenAI's own: Copilot goes on with the call that it has while no other id comes, and libraries that join pieces by
 * their index may join ids too.
 */
export async function* toChunks(
  head: CompletionHead,
  group: AnswerGroup,
  form: StreamForm,
): AsyncGenerator<object, void, void> {
  const usages: Usage[] = [];
  for (const index of group.answers.keys()) yield toChunk(head, index, { delta: { role: "assistant", content: "" } });
  for await (const { index, event } of mergeAnswers(group)) {
    const piece = toPiece(event, form);
    if (piece !== null) yield toChunk(head, index, piece);
    if (event.type === "done") usages[index] = event.usage;
  }
  if (!form.includeUsage) return;
  const usage = toCompletionUsage(usages, { perPrompt: group.answers.length });
  yield { ...head, object: "chat.completion.chunk", choices: [], usage };
}

/** What an event changes in a choice. */
interface Piece {
  delta: object;
  logprobs?: object;
  finish_reason?: string;
}

function toPiece(event: GroupEvent["event"], form: StreamForm): Piece | null {
  switch (event.type) {
    case "reasoning":
      return { delta: { reasoning_content: event.text } };
    case "text":
      return {
        delta: { content: event.text },
        ...(form.logprobs ? { logprobs: toLogprobs(event.tokens ?? []) } : {}),
      };
    case "tool_call":
    case "tool_arguments":
      return { delta: form.oldForm ? toOldCallDelta(event) : toCallDelta(event) };
    case "done":
      return { delta: {}, finish_reason: toFinishReason(event.finishReason, form) };
    default:
      return null;
  }
}

type CallEvent = Extract<ChatEvent, { type: "tool_call" | "tool_arguments" }>;

function toCallDelta(event: CallEvent): object {
  const { index } = event;
  if (event.type === "tool_arguments") return { tool_calls: [{ index, function: { arguments: event.text } }] };
  return { tool_calls: [{ index, id: event.id, type: "function", function: { name: event.name, arguments: "" } }] };
}

function toOldCallDelta(event: CallEvent): object {
  if (event.type === "tool_arguments") return { function_call: { arguments: event.text } };
  return { function_call: { name: event.name, arguments: "" } };
}

function toChunk(head: CompletionHead, index: number, piece: Piece): object {
  const { delta, logprobs = null, finish_reason = null } = piece;
  return { ...head, object: "chat.completion.chunk", choices: [{ index, delta, logprobs, finish_reason }] };
}
