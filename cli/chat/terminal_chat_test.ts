import assert from "node:assert/strict";
import type { ClientMessage } from "../../lib/client/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { TerminalChat, type TerminalChatParts } from "./terminal_chat.ts";

/** Runs a chat over typed lines; `ask` answers, `onWrite` sees what is shown as it is shown. */
async function talk(
  lines: string[],
  ask: TerminalChatParts["ask"],
  onWrite: (text: string, chat: TerminalChat) => void = () => {},
): Promise<string> {
  let screen = "";
  const chat: TerminalChat = new TerminalChat({
    lines: (async function* () {
      yield* lines;
    })(),
    write: (text) => {
      screen += text;
      onWrite(text, chat);
    },
    ask,
  });
  await chat.run();
  return screen;
}

Deno.test("a terminal chat streams answers and remembers the conversation until /new", async () => {
  const asked: (readonly ClientMessage[])[] = [];
  const screen = await talk(["one", "  ", "two", "/new", "three"], async function* (messages) {
    asked.push(messages);
    yield "an";
    yield "swer";
  });
  assert.deepEqual(asked.map((messages) => messages.map(({ role, content }) => `${role}: ${content}`)), [
    ["user: one"],
    ["user: one", "assistant: answer", "user: two"],
    ["user: three"],
  ]);
  assert.equal(screen.split("> answer\n").length, 4);
});

Deno.test("/exit ends a terminal chat, and an unknown command is not sent", async () => {
  const asked: string[] = [];
  const screen = await talk(["/hlep", "/exit", "never"], async function* (messages) {
    asked.push(messages.at(-1)!.content);
    yield "x";
  });
  assert.deepEqual(asked, []);
  assert.match(screen, /There is no \/hlep/);
});

Deno.test("an interrupt stops the answer and not the chat, which keeps what was said", async () => {
  const asked: (readonly ClientMessage[])[] = [];
  const screen = await talk(["one", "two"], async function* (messages, signal) {
    asked.push(messages);
    yield "so far";
    if (signal.aborted) throw new DomainError("request_cancelled", "The answer was stopped");
    yield " and on";
  }, (text, chat) => {
    if (text === "so far" && asked.length === 1) chat.interrupt();
  });
  assert.match(screen, /so far \[stopped\]/);
  assert.match(screen, /so far and on/);
  assert.equal(asked[1]![1]!.content, "so far");
});

Deno.test("an interrupt without an answer says how to end", async () => {
  const screen = await talk(["/new"], () => assert.fail("nothing was asked"), (text, chat) => {
    if (text.startsWith("A new")) chat.interrupt();
  });
  assert.match(screen, /A new conversation\.\n\n\/new starts anew, \/exit or Ctrl-D ends/);
});

Deno.test("an error is shown and its question forgotten", async () => {
  const asked: (readonly ClientMessage[])[] = [];
  const screen = await talk(["one", "two"], async function* (messages) {
    asked.push(messages);
    if (asked.length === 1) throw new DomainError("queue_full", "Try again in a moment");
    yield "fine";
  });
  assert.match(screen, /Error: Try again in a moment/);
  assert.deepEqual(asked[1], [{ role: "user", content: "two" }]);
});
