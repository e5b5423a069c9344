import type { Context } from "hono";
import type { ChatEvent } from "../../lib/contracts/chat.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { type Answer, type AskedRequest, collectAnswer, openAnswer, type WholeAnswer } from "./answers.ts";
import type { FunctionEnv } from "./create_function.ts";

/** Several answers to one request of a client, in the order of its choices. They succeed together or not at all. */
export interface AnswerGroup {
  answers: readonly Answer[];
  /** Stops all of them. */
  abort(): void;
}

/** An event of one of several answers. */
export interface GroupEvent {
  /** Which answer it belongs to. */
  index: number;
  event: ChatEvent;
}

/** The same request `count` times. Answers would be equal if all had its seed, so each has the next one. */
export function repeatRequest(request: AskedRequest, count: number): AskedRequest[] {
  const { seed = null } = request.sampling;
  return Array.from({ length: count }, (_, index) => {
    if (seed === null || index === 0) return request;
    return { ...request, sampling: { ...request.sampling, seed: (seed + index) % 2 ** 32 } };
  });
}

/**
 * Asks the engine for several answers and waits until all are admitted. When one is refused the others are stopped.
 *
 * @throws {DomainError} what the engine refuses a request with.
 */
export async function openAnswers(
  c: Context<FunctionEnv>,
  inference: Pick<Inference, "chat">,
  requests: readonly AskedRequest[],
): Promise<AnswerGroup> {
  const answers: Answer[] = [];
  const abort = () => answers.forEach((answer) => answer.abort());
  try {
    // One after the other, so that the queue has them in the order of their choices.
    for (const request of requests) answers.push(await openAnswer(c, inference, request));
  } catch (error) {
    await abandon({ answers, abort });
    throw error;
  }
  return { answers, abort };
}

/** Reads all answers to their ends. When one fails the others are stopped, and its failure is thrown. */
export async function collectAnswers(group: AnswerGroup): Promise<WholeAnswer[]> {
  try {
    return await Promise.all(group.answers.map(collectAnswer));
  } catch (error) {
    await abandon(group);
    throw error;
  }
}

/**
 * The events of all answers as they come, none of them preferred. When one fails the others are stopped, and its failure
 * is thrown; leaving the iteration stops all.
 */
export async function* mergeAnswers(group: AnswerGroup): AsyncGenerator<GroupEvent, void, void> {
  // Whoever has spoken goes to the end: a race among several that are settled is won by the first.
  const pending = new Map<number, Promise<{ index: number; result: IteratorResult<ChatEvent, void> }>>();
  const ask = (index: number) => {
    pending.set(index, group.answers[index]!.events.next().then((result) => ({ index, result })));
  };
  try {
    for (const index of group.answers.keys()) ask(index);
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      pending.delete(index);
      if (result.done === true) continue;
      yield { index, event: result.value };
      ask(index);
    }
  } finally {
    for (const next of pending.values()) next.catch(() => {});
    await abandon(group);
  }
}

/** Stops what is left of a group and waits until it has ended; its failures have nobody to hear them. */
async function abandon(group: AnswerGroup): Promise<void> {
  group.abort();
  await Promise.allSettled(group.answers.map(({ events }) => events.return()));
}
