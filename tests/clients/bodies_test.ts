/** What editors and homes send, replayed as it is. Ollama's extension and Home Assistant are in `ollama_test.ts`. */
import assert from "node:assert/strict";
import {
  CONTINUE_BODY,
  COPILOT_AGENT_BODY,
  COPILOT_COMPLETION_BODY,
  COPILOT_HEADERS,
  COPILOT_IMAGE_BODY,
  COPILOT_THINKING_BODY,
  EXTENDED_OPENAI_BODY,
  EXTENDED_OPENAI_TOOLS_BODY,
  OPENAI_CONVERSATION_BODY,
  ZED_BODY,
} from "../fixtures/client_bodies.ts";
import { type Checks, CONTEXT_TOKENS, testClient, TOO_LONG } from "../fixtures/client_checks.ts";
import { readBytes, readJson } from "../fixtures/http.ts";
import { findStreamViolations } from "./copilot_stream.ts";

/** Sends what a client sends. */
class Sender {
  constructor(readonly url: string) {}

  async get(path: string): ReturnType<Response["json"]> {
    const { "content-type": _, ...headers } = COPILOT_HEADERS;
    const response = await fetch(`${this.url}${path}`, { headers });
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("content-type"), "application/json");
    return await readJson(response);
  }

  async post(path: string, body: object): Promise<Response> {
    return await fetch(`${this.url}${path}`, { method: "POST", body: JSON.stringify(body), headers: COPILOT_HEADERS });
  }
}

/**
 * What Copilot would lose of a stream by the server's fault. What a small model may do with nobody to stop it is left out:
 * to repeat one word, and to call on until the context is full.
 */
async function findLosses(response: Response): Promise<string[]> {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  return findStreamViolations(await readBytes(response)).filter((sentence) =>
    !/texts are equal|end by length/.test(sentence)
  );
}

const COPILOT: Checks<Sender> = {
  async "Copilot's Ollama provider finds the version, the models and the context that is served"({ client, model }) {
    const [major, minor, patch] = (await client.get("//api/version")).version.split(".").map(Number);
    assert.ok(major > 0 || minor > 6 || (minor === 6 && patch >= 4));
    const tags = await client.get("//api/tags");
    assert.ok(tags.models.some((listed: { model: string }) => listed.model === model));
    const shown = await readJson(await client.post("//api/show", { model }));
    assert.ok(Array.isArray(shown.capabilities));
    const info = shown.model_info;
    assert.equal(info[`${info["general.architecture"]}.context_length`], CONTEXT_TOKENS);
    assert.equal(typeof info["general.basename"], "string");
  },

  async "Copilot's custom endpoint finds the models"({ client, model }) {
    const { data } = await client.get("/v1/models");
    assert.ok(data.some(({ id }: { id: string }) => id === model));
  },

  async "Copilot's agent mode gets its answer, which nothing but the context limits"({ client, model }) {
    const response = await client.post("/v1/chat/completions", { ...COPILOT_AGENT_BODY, model });
    assert.deepEqual(await findLosses(response), []);
  },

  async "Copilot with thinking gets its answer from a model that does not think"({ client, model }) {
    const response = await client.post("/v1/chat/completions", { ...COPILOT_THINKING_BODY, model });
    assert.deepEqual(await findLosses(response), []);
  },

  async "Copilot shows the reason when a picture cannot be seen, or a prompt is too long"({ client, model }) {
    const seen = await client.post("/v1/chat/completions", { ...COPILOT_IMAGE_BODY, model });
    assert.equal(seen.status, 400);
    assert.match((await readJson(seen)).error.message, /cannot see images/);
    const messages = [{ role: "system", content: TOO_LONG }, { role: "user", content: "fix" }];
    const read = await client.post("/v1/chat/completions", { ...COPILOT_AGENT_BODY, model, messages });
    assert.equal(read.status, 400);
    const { error } = await readJson(read);
    assert.equal(error.code, "context_length_exceeded");
    assert.match(error.message, new RegExp(`has \\d{4,} tokens.*${CONTEXT_TOKENS}`));
  },

  async "Copilot's completions go on with a text, and say when a model cannot fill in its middle"({ client, model }) {
    const path = `/v1/engines/${model}/completions`;
    const filled = await client.post(path, COPILOT_COMPLETION_BODY);
    assert.equal(filled.status, 400);
    assert.equal((await readJson(filled)).error.param, "suffix");
    const response = await client.post(path, { ...COPILOT_COMPLETION_BODY, suffix: "" });
    assert.equal(response.status, 200);
    const events = (await response.text()).trim().split("\n\n").map((event) => event.slice("data: ".length));
    assert.equal(events.pop(), "[DONE]");
    const texts = events.map((event) => JSON.parse(event).choices[0].text);
    assert.ok(texts.join("").length > 0);
  },
};

const OTHERS: Checks<Sender> = {
  async "Home Assistant's openai_conversation gets a stream that begins and ends as it expects"({ client, model }) {
    const body = { ...OPENAI_CONVERSATION_BODY, model, max_output_tokens: 24 };
    const response = await client.post("/v1/responses", body);
    assert.equal(response.status, 200);
    const names = [...(await response.text()).matchAll(/^event: (.+)$/gm)].map(([, name]) => name!);
    assert.equal(names[0], "response.created");
    assert.match(names.at(-1)!, /^response\.(completed|incomplete)$/);
  },

  async "Home Assistant's extended_openai_conversation gets answers in both of its forms"({ client, model }) {
    for (const body of [EXTENDED_OPENAI_BODY, EXTENDED_OPENAI_TOOLS_BODY]) {
      const response = await client.post("/v1/chat/completions", { ...body, model, max_tokens: 24 });
      assert.equal(response.status, 200);
      const { choices, usage } = await readJson(response);
      assert.match(choices[0].finish_reason, /^(stop|length|tool_calls|function_call)$/);
      assert.ok(usage.total_tokens > 24);
    }
    const body = { ...EXTENDED_OPENAI_TOOLS_BODY, model, tool_choice: "required", parallel_tool_calls: false };
    const { choices } = await readJson(await client.post("/v1/chat/completions", body));
    assert.equal(choices[0].finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(choices[0].message.tool_calls[0].function.arguments), { area: "kitchen" });
  },

  async "Zed gets calls whose every piece has its index"({ client, model }) {
    const response = await client.post("/v1/chat/completions", { ...ZED_BODY, model });
    const copy = response.clone();
    assert.deepEqual(await findLosses(response), []);
    assert.match(await copy.text(), /"tool_calls":\[\{"index":0,"id":"[^"]+","type":"function"/);
  },

  async "Zed finds all that it insists on in a list of models"({ client }) {
    for (const listed of (await client.get("/api/tags")).models) {
      const { name, modified_at, size, digest, details } = listed;
      const { format, family, parameter_size, quantization_level } = details;
      const texts = [name, modified_at, digest, format, family, parameter_size, quantization_level];
      assert.deepEqual(texts.map((text) => typeof text), Array(7).fill("string"));
      assert.match(digest, /^[0-9a-f]{64}$/, "Ollama's own program cuts 12 digits off it");
      assert.ok(size > 0 && !Number.isNaN(Date.parse(modified_at)));
    }
  },

  async "Continue asks by name, fills in where a model can, and embeds"({ client, model, embedder }) {
    const shown = await readJson(await client.post("/api/show", { name: model }));
    assert.equal(typeof shown.template, "string");
    const filled = await client.post("/api/generate", { ...CONTINUE_BODY, model });
    assert.equal(filled.status, 400);
    assert.match((await readJson(filled)).error, /insert|fill/);
    const { embeddings } = await readJson(await client.post("/api/embed", { model: embedder, input: ["a", "b"] }));
    assert.deepEqual(embeddings.map(({ length }: number[]) => length), [384, 384]);
  },
};

testClient("What editors and homes send is answered as they need it", {
  connect: (url) => new Sender(url),
  checks: { ...COPILOT, ...OTHERS },
});
