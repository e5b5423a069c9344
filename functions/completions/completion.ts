import { z } from "@hono/zod-openapi";
import type { Usage } from "../../lib/contracts/chat.ts";
import { type AnswerGroup, mergeAnswers } from "../_shared/answer_group.ts";
import type { WholeAnswer } from "../_shared/answers.ts";
import { CompletionUsage, toCompletionUsage } from "../_shared/usage.ts";
import type { CompletionRequests } from "./completion_requests.ts";
import { Logprobs, toLogprobs } from "./logprobs.ts";

/** What `POST /v1/completions` answers without `stream`. */
export const Completion = z.object({
  id: z.string().openapi({ example: "cmpl-0a1b2c" }),
  object: z.literal("text_completion"),
  created: z.int().openapi({ description: "Seconds since 1970" }),
  model: z.string(),
  system_fingerprint: z.null(),
  choices: z.array(z.object({
    index: z.int(),
    text: z.string(),
    logprobs: Logprobs.nullable(),
    finish_reason: z.enum(["stop", "length"]),
  })),
  usage: CompletionUsage,
}).openapi("Completion");
/** What is answered without `stream`. */
export type Completion = z.infer<typeof Completion>;

type Choice = Completion["choices"][number];

/** What every piece of one completion repeats. */
type CompletionHead = Omit<Completion, "choices" | "usage">;

/** How a client asked. */
interface CompletionForm extends Pick<CompletionRequests, "echoes" | "perPrompt"> {
  /** How many alternatives are told beside each token; null tells no probabilities. */
  alternatives: number | null;
}

/** Begins a completion of `model`, which gets an id of its own. */
export function createHead(model: string): CompletionHead {
  return {
    id: `cmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    object: "text_completion",
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: null,
  };
}

/** The whole completion as one object, with a choice for each answer. */
export function toCompletion(head: CompletionHead, answers: readonly WholeAnswer[], form: CompletionForm): Completion {
  const { alternatives, echoes, perPrompt } = form;
  return {
    ...head,
    choices: answers.map(({ text, tokens, done }, index) => ({
      index,
      text: echoes[index]! + text,
      logprobs: alternatives === null ? null : toLogprobs(tokens, { offset: 0, alternatives }),
      finish_reason: toFinishReason(done.finishReason),
    })),
    usage: toCompletionUsage(answers.map(({ done }) => done.usage), { perPrompt }),
  };
}

/** The completion piece by piece, and the usage at its end when it was asked for. */
export async function* toChunks(
  head: CompletionHead,
  group: AnswerGroup,
  form: CompletionForm & { includeUsage: boolean },
): AsyncGenerator<object, void, void> {
  const { alternatives } = form;
  const usages: Usage[] = [];
  const offsets = group.answers.map(() => 0);
  for (const [index, text] of form.echoes.entries()) if (text !== "") yield toChunk(head, { index, text });
  for await (const { index, event } of mergeAnswers(group)) {
    if (event.type === "text") {
      const offset = offsets[index]!;
      offsets[index] = offset + event.text.length;
      const logprobs = alternatives === null ? null : toLogprobs(event.tokens ?? [], { offset, alternatives });
      yield toChunk(head, { index, text: event.text, logprobs });
    }
    if (event.type !== "done") continue;
    yield toChunk(head, { index, text: "", finish_reason: toFinishReason(event.finishReason) });
    usages[index] = event.usage;
  }
  if (form.includeUsage) yield { ...head, choices: [], usage: toCompletionUsage(usages, form) };
}

/** A piece of one choice; what it leaves out is null. */
type Piece = Pick<Choice, "index" | "text"> & Partial<Choice>;

function toChunk(head: CompletionHead, piece: Piece): object {
  return { ...head, choices: [{ logprobs: null, finish_reason: null, ...piece }] };
}

/** A raw prompt has no tools, so that there are no calls that it could end by. */
function toFinishReason(reason: WholeAnswer["done"]["finishReason"]): Choice["finish_reason"] {
  return reason === "length" ? "length" : "stop";
}
