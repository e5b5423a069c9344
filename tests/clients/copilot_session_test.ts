/** A session of Copilot Chat's agent mode in its real size, with a model that has room for it. */
import assert from "node:assert/strict";
import { beginCopilotSession, COPILOT_TOOLS } from "../fixtures/copilot_session.ts";
import { readJson } from "../fixtures/http.ts";
import { type StartedRookery, startRookery } from "../fixtures/started_rookery.ts";
import { skipUnless, testModel } from "../prerequisites.ts";
import { findStreamViolations } from "./copilot_stream.ts";

const TITLE = "Copilot's agent mode works in its real size";
const CONTEXT_TOKENS = 32_768;

skipUnless(testModel("gemma-3-270m"), TITLE, (largePath) => {
  skipUnless(testModel("smollm2-135m"), TITLE, (smallPath) => {
    Deno.test(TITLE, async (t) => {
      const env = { ROOKERY_CONTEXT: String(CONTEXT_TOKENS), ROOKERY_SEQUENCES: "1" };
      await using rookery = await startRookery([largePath, smallPath], env);
      await t.step("the picker shows tools where there is room for them", async () => {
        const large = await show(rookery, "gemma-3-270m");
        assert.ok(large.capabilities.includes("tools"));
        assert.equal(large.model_info["gemma3.context_length"], CONTEXT_TOKENS);
        const small = await show(rookery, "smollm2-135m");
        assert.ok(!small.capabilities.includes("tools"));
        assert.equal(small.model_info["llama.context_length"], 8192);
      });

      const messages = beginCopilotSession();
      let first: Turn;
      await t.step("10,000 tokens with 40 tools are read, and a call comes back", async () => {
        first = await ask(rookery, { messages, tool_choice: { type: "function", function: { name: "read_file" } } });
        assert.equal(first.finishReason, "tool_calls");
        assert.deepEqual(first.calls.map(({ function: { name } }) => name), ["read_file"]);
        assert.ok(
          first.usage.prompt_tokens >= 10_000 && first.usage.prompt_tokens < 14_000,
          `${first.usage.prompt_tokens}`,
        );
        addResult(messages, first, "export function createInvoice(member: Member): Invoice {\n".repeat(20));
      });

      let second: Turn;
      await t.step("the second turn reads the tool's result alone, and calls one of all", async () => {
        second = await ask(rookery, { messages, tool_choice: "required" });
        assert.equal(second.finishReason, "tool_calls");
        assert.equal(second.calls.length, 1);
        assertContinues(second, first);
        addResult(messages, second, "No errors found.");
      });

      await t.step("the third turn, where the model may do as it likes, does so too", async () => {
        const third = await ask(rookery, { messages, max_tokens: 512, seed: 1 });
        assertContinues(third, second);
      });
    });
  });
});

/** What came of one request. */
interface Turn {
  calls: { id: string; type: string; function: { name: string; arguments: string } }[];
  finishReason: string;
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

const headers = { "content-type": "application/json", authorization: "Bearer " };

async function show({ url }: StartedRookery, model: string): ReturnType<Response["json"]> {
  return await readJson(await fetch(`${url}/api/show`, { method: "POST", body: JSON.stringify({ model }), headers }));
}

/** Sends a body as Copilot does and reads the stream, which has to be as Copilot's parser needs it. */
async function ask({ url, model }: StartedRookery, changes: object): Promise<Turn> {
  const body = {
    model,
    temperature: 0.1,
    top_p: 1,
    n: 1,
    stream: true,
    stream_options: { include_usage: true },
    tools: COPILOT_TOOLS,
    parallel_tool_calls: false,
    ...changes,
  };
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: JSON.stringify(body), headers });
  assert.equal(response.status, 200);
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.deepEqual(findStreamViolations(bytes), []);
  return readTurn(new TextDecoder().decode(bytes));
}

function readTurn(text: string): Turn {
  const events = text.split("\n").filter((line) => line.startsWith("data: {"));
  const chunks = events.map((line) => JSON.parse(line.slice("data: ".length)));
  const calls: Turn["calls"] = [];
  for (const piece of chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])) {
    const call = calls[piece.index] ??= { id: piece.id, type: "function", function: { name: "", arguments: "" } };
    call.function.name += piece.function.name ?? "";
    call.function.arguments += piece.function.arguments ?? "";
  }
  for (const call of calls) assert.equal(typeof JSON.parse(call.function.arguments), "object");
  const finishReason = chunks.map(({ choices }) => choices[0]?.finish_reason).findLast((reason) => reason) ?? "";
  return { calls, finishReason, usage: chunks.at(-1).usage };
}

/** Adds a turn's calls and what they came to, as Copilot sends them back. */
function addResult(messages: object[], { calls }: Turn, content: string): void {
  messages.push({ role: "assistant", content: "", tool_calls: calls });
  for (const { id } of calls) messages.push({ role: "tool", tool_call_id: id, content });
}

/** Nearly all that the turn before had read was not read again: what a template puts at an end may be. */
function assertContinues({ usage }: Turn, before: Turn): void {
  const { prompt_tokens: promptTokens, prompt_tokens_details: { cached_tokens: cachedTokens } } = usage;
  assert.ok(promptTokens > before.usage.prompt_tokens);
  assert.ok(
    cachedTokens > 0.98 * before.usage.prompt_tokens,
    `${cachedTokens} of ${before.usage.prompt_tokens} tokens`,
  );
}
