import assert from "node:assert/strict";
import type { ChatEvent } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { type AnswerGroup, collectAnswers, mergeAnswers, repeatRequest } from "./answer_group.ts";

/** An answer under a test's hand. */
interface Puppet {
  /** Says a text, or ends with an error. */
  say(step: string | Error): void;
  aborted: boolean;
  left: boolean;
}

/** A group of `count` answers that say what they are told to, and end when they are aborted. */
function createPuppets(count: number): { group: AnswerGroup; puppets: Puppet[] } {
  const puppets: Puppet[] = [];
  const answers = Array.from({ length: count }, () => {
    const steps: (string | Error)[] = [];
    let wake = Promise.withResolvers<void>();
    const puppet: Puppet = { aborted: false, left: false, say: (step) => (steps.push(step), wake.resolve()) };
    puppets.push(puppet);
    const speak = async function* (): AsyncGenerator<ChatEvent, void, void> {
      try {
        while (true) {
          while (steps.length === 0) await wake.promise.then(() => wake = Promise.withResolvers());
          const step = steps.shift()!;
          if (step instanceof Error) throw step;
          if (step === "") return;
          yield { type: "text", text: step };
        }
      } finally {
        puppet.left = true;
      }
    };
    const abort = () => {
      puppet.aborted = true;
      puppet.say(new DomainError("request_cancelled", "It was cancelled"));
    };
    return { events: speak(), abort };
  });
  return { group: { answers, abort: () => answers.forEach((answer) => answer.abort()) }, puppets };
}

async function readText(merged: AsyncGenerator<{ index: number; event: ChatEvent }, void, void>): Promise<string> {
  const { value } = await merged.next();
  return value?.event.type === "text" ? `${value.index}:${value.event.text}` : "end";
}

Deno.test("mergeAnswers() passes on what comes, from whichever answer, and ends with the last", async () => {
  const { group, puppets: [first, second] } = createPuppets(2);
  const merged = mergeAnswers(group);
  second!.say("a");
  assert.equal(await readText(merged), "1:a");
  first!.say("b");
  assert.equal(await readText(merged), "0:b");
  first!.say("");
  second!.say("c");
  assert.equal(await readText(merged), "1:c");
  second!.say("");
  assert.equal(await readText(merged), "end");
});

Deno.test("mergeAnswers() lets no answer that always has something to say keep another waiting", async () => {
  const { group, puppets } = createPuppets(3);
  for (const puppet of puppets) for (const text of ["a", "b", ""]) puppet.say(text);
  const texts: string[] = [];
  for await (const { index, event } of mergeAnswers(group)) {
    texts.push(`${index}:${event.type === "text" && event.text}`);
  }
  assert.deepEqual(texts, ["0:a", "1:a", "2:a", "0:b", "1:b", "2:b"]);
});

Deno.test("mergeAnswers() stops all answers when one fails, and throws its failure alone", async () => {
  const { group, puppets } = createPuppets(3);
  const merged = mergeAnswers(group);
  puppets[1]!.say("a");
  assert.equal(await readText(merged), "1:a");
  puppets[1]!.say(new DomainError("engine_gone", "It ended"));
  await assert.rejects(merged.next(), { code: "engine_gone" });
  assert.ok(puppets.every(({ aborted, left }) => aborted && left));
});

Deno.test("mergeAnswers() stops all answers when its reader leaves", async () => {
  const { group, puppets } = createPuppets(2);
  puppets[0]!.say("a");
  for await (const { index } of mergeAnswers(group)) {
    assert.equal(index, 0);
    break;
  }
  assert.ok(puppets.every(({ aborted, left }) => aborted && left));
});

Deno.test("collectAnswers() stops all answers when one fails, and throws its failure", async () => {
  const { group, puppets } = createPuppets(2);
  const whole = collectAnswers(group);
  puppets[1]!.say(new DomainError("engine_gone", "It ended"));
  await assert.rejects(whole, { code: "engine_gone" });
  assert.ok(puppets.every(({ aborted, left }) => aborted && left));
});

Deno.test("repeatRequest() counts a seed up, beyond its end too, and leaves chance to chance", () => {
  const seedsOf = (seed: number | null) => {
    const request = { model: "m", messages: null, prompt: "p", sampling: { seed, topK: 1 } };
    return repeatRequest(request, 3).map(({ sampling }) => {
      assert.equal(sampling.topK, 1);
      return sampling.seed;
    });
  };
  assert.deepEqual(seedsOf(7), [7, 8, 9]);
  assert.deepEqual(seedsOf(2 ** 32 - 2), [2 ** 32 - 2, 2 ** 32 - 1, 0]);
  assert.deepEqual(seedsOf(null), [null, null, null]);
});
