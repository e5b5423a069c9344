import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { HOME_ASSISTANT_BODY, OLLAMA_EXTENSION_BODY } from "../../tests/fixtures/client_bodies.ts";
import { createEmptyCatalog } from "../../tests/fixtures/empty_catalog.ts";
import { postJson, readJson } from "../../tests/fixtures/http.ts";
import {
  LOADED_AT_MS,
  ScriptedInference,
  type ScriptedInferenceOptions,
} from "../../tests/fixtures/scripted_inference.ts";
import { createApp } from "./app.ts";
import { ChatLine, GenerateLine } from "./schemas.ts";

const HELLO = { model: "scripted", messages: [{ role: "user", content: "hello" }] };

function createTestApp(options: ScriptedInferenceOptions = {}) {
  const inference = new ScriptedInference(options);
  return { inference, engine: inference.engine, app: createApp({ inference, library: createEmptyCatalog() }) };
}

/** The lines of a streamed answer; a blank one, or one without a text, fails as it fails in Home Assistant. */
async function readLines(response: Response): Promise<Record<string, unknown>[]> {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const text = await response.text();
  assert.ok(text.endsWith("\n"));
  return text.slice(0, -1).split("\n").map((line) => JSON.parse(line));
}

async function askedBy(path: string, body: object) {
  const { engine, app } = createTestApp();
  const response = await postJson(app, path, { body: { model: "scripted", ...body } });
  assert.equal(response.status, 200, await response.text());
  return engine.requests[0]!;
}

Deno.test("GET /api/version is new enough for Copilot Chat", async () => {
  const response = await createTestApp().app.request("/api/version");
  assert.equal(response.status, 200);
  const { version } = await readJson(response);
  const [major, minor, patch] = version.split(".").map(Number);
  assert.ok(major * 1e6 + minor * 1e3 + patch >= 6004, version);
});

Deno.test("GET / and HEAD / say that Rookery is running", async () => {
  const { app } = createTestApp();
  assert.equal(await (await app.request("/")).text(), "Rookery is running");
  assert.equal((await app.request("/", { method: "HEAD" })).status, 200);
});

Deno.test("GET /api/tags lists the model with everything that strict clients read", async () => {
  const { app } = createTestApp({ embedder: null });
  for (const url of ["http://localhost/api/tags", "http://localhost//api/tags"]) {
    const response = await app.fetch(new Request(url));
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), {
      models: [{
        name: "scripted",
        model: "scripted",
        modified_at: "2026-01-01T00:00:00.000Z",
        size: 1_048_576,
        digest: "0".repeat(64),
        details: {
          parent_model: "",
          format: "gguf",
          family: "script",
          families: ["script"],
          parameter_size: "1.0M",
          quantization_level: "F16",
        },
      }],
    });
  }
});

Deno.test("GET /api/tags writes texts where nothing is known, and a digest that is the model's own", async () => {
  const { app } = createTestApp({ model: { sha256: null, parameters: null, licence: null, chatTemplate: null } });
  const { models: [tag, embedder] } = await readJson(await app.request("/api/tags"));
  assert.match(tag.digest, /^[0-9a-f]{64}$/);
  assert.notEqual(tag.digest, embedder.digest);
  assert.equal(tag.details.parameter_size, "");
  const shown = await readJson(await postJson(app, "/api/show", { body: { model: "scripted" } }));
  assert.deepEqual([shown.license, shown.template], ["", ""]);
});

Deno.test("POST /api/show tells the context that is served, by model or by name", async () => {
  const { app } = createTestApp({ model: { contextTokensTrained: 131_072, parameters: 3_212_749_888 } });
  for (const body of [{ model: "scripted", verbose: true }, { name: "scripted" }, { model: "scripted:latest" }]) {
    const response = await postJson(app, "/api/show", { body });
    assert.equal(response.status, 200);
    const shown = await readJson(response);
    assert.deepEqual(shown.model_info, {
      "general.architecture": "script",
      "general.basename": "Scripted",
      "general.parameter_count": 3_212_749_888,
      "script.context_length": 4096,
    });
    assert.deepEqual(shown.capabilities, ["completion"]);
    assert.match(shown.parameters, /^num_ctx +4096$/);
    assert.equal(shown.details.parameter_size, "3.2B");
    assert.equal(shown.template, "{{ messages }}");
    assert.equal(shown.license, "MIT");
  }
});

Deno.test("POST /api/show refuses no name and unknown ones in Ollama's shape", async () => {
  const { app } = createTestApp({ embedder: null });
  const nameless = await postJson(app, "/api/show", { body: {} });
  assert.equal(nameless.status, 400);
  const unknown = await postJson(app, "/api/show", { body: { model: "llama3" } });
  assert.equal(unknown.status, 404);
  assert.deepEqual(await unknown.json(), { error: 'Unknown model "llama3"; there is "scripted"' });
});

Deno.test("POST /api/show tells what a model can do, in Ollama's words", async () => {
  const capabilities = { tools: true, reasoning: true, vision: true, infill: true };
  const { app } = createTestApp({ model: { capabilities } });
  const shown = await readJson(await postJson(app, "/api/show", { body: { model: "scripted" } }));
  assert.deepEqual(shown.capabilities, ["completion", "tools", "thinking", "vision", "insert"]);
  assert.equal(shown.template, "{{ messages }}{# .Suffix #}", "Continue looks for .Suffix");
  const embedder = await readJson(await postJson(app, "/api/show", { body: { model: "scripted-embedder" } }));
  assert.deepEqual(embedder.capabilities, ["embedding"]);
  assert.partialDeepStrictEqual(embedder.model_info, { "bert.context_length": 64, "bert.embedding_length": 8 });
  assert.equal(embedder.details.format, "onnx");
});

Deno.test("GET /api/tags lists models that embed, too", async () => {
  const { models } = await readJson(await createTestApp().app.request("/api/tags"));
  assert.deepEqual(models.map(({ model }: { model: string }) => model), ["scripted", "scripted-embedder"]);
});

Deno.test("GET /api/ps lists the models that are loaded, and until when", async () => {
  const { app } = createTestApp();
  const list = async () => (await readJson(await app.request("/api/ps"))).models;
  assert.deepEqual(await list(), []);
  await postJson(app, "/api/generate", { body: { model: "scripted", keep_alive: "10m" } });
  const [running, ...others] = await list();
  assert.deepEqual(others, []);
  assert.partialDeepStrictEqual(running, {
    model: "scripted",
    size: 4_194_304,
    size_vram: 0,
    context_length: 4096,
    expires_at: new Date(LOADED_AT_MS + 600_000).toISOString(),
  });
  await postJson(app, "/api/embed", { body: { model: "scripted-embedder", input: [], keep_alive: -1 } });
  const expiry = (await list()).map((each: Record<string, unknown>) => [each["model"], each["expires_at"]]);
  assert.deepEqual(expiry[1], ["scripted-embedder", "9999-12-31T23:59:59Z"]);
});

Deno.test("POST /api/chat streams lines that all have a role and a content, and ends with the numbers", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue("Good", " day");
  const lines = await readLines(await postJson(app, "/api/chat", { body: HELLO }));
  assert.deepEqual(lines.map(({ message, done }) => [message, done]), [
    [{ role: "assistant", content: "Good" }, false],
    [{ role: "assistant", content: " day" }, false],
    [{ role: "assistant", content: "" }, true],
  ]);
  for (const line of lines) {
    const { model, created_at } = ChatLine.strict().parse(line);
    assert.equal(model, "scripted");
    assert.ok(Number.isFinite(Date.parse(String(created_at))));
  }
  const last = lines.at(-1)!;
  assert.equal(last["done_reason"], "stop");
  assert.equal(last["prompt_eval_count"], "user: hello\n".length);
  assert.equal(last["eval_count"], 8);
  for (const name of ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"]) {
    assert.ok(Number.isInteger(last[name]) && Number(last[name]) >= 0, name);
  }
});

Deno.test("POST /api/chat answers with one object when it is not to stream", async () => {
  const { app } = createTestApp();
  const body = { ...HELLO, stream: false, options: { num_predict: 2 } };
  const response = await postJson(app, "/api/chat", { body });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  const answer = await readJson(response);
  assert.partialDeepStrictEqual(answer, {
    model: "scripted",
    message: { role: "assistant", content: "he" },
    done: true,
    done_reason: "length",
    eval_count: 2,
  });
});

Deno.test("POST /api/generate streams responses, and takes a system text", async () => {
  const { engine, app } = createTestApp();
  const body = { model: "scripted", prompt: "hi", system: "S" };
  const lines = await readLines(await postJson(app, "/api/generate", { body }));
  assert.deepEqual(lines.map((line) => GenerateLine.strict().parse(line).response), ["h", "i", ""]);
  assert.deepEqual(engine.requests[0]!.messages, [
    { role: "system", content: "S" },
    { role: "user", content: "hi" },
  ]);
});

Deno.test("POST /api/generate with raw takes the prompt as it is, also as a form from curl", async () => {
  const { engine, app } = createTestApp();
  const body = JSON.stringify({ model: "scripted", prompt: "Once", raw: true, stream: false });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const response = await app.request("/api/generate", { method: "POST", body, headers });
  assert.equal(response.status, 200);
  assert.partialDeepStrictEqual(await readJson(response), { response: "Once", done: true, prompt_eval_count: 4 });
  assert.equal(engine.requests[0]!.prompt, "Once");
  assert.equal(engine.requests[0]!.messages, null);
});

Deno.test("Without a message or a prompt the model is loaded, or unloaded, and the engine is not asked", async () => {
  const { engine, inference, app } = createTestApp();
  const load = async (path: string, body: object) => {
    const response = await postJson(app, path, { body: { model: "scripted:latest", ...body } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    return await readJson(response);
  };
  const message = { role: "assistant", content: "" };
  const head = { model: "scripted:latest", done: true };
  assert.partialDeepStrictEqual(await load("/api/chat", {}), { ...head, message, done_reason: "load" });
  const kept = await load("/api/chat", { messages: [], keep_alive: -1 });
  assert.partialDeepStrictEqual(kept, { ...head, message, done_reason: "load" });
  const left = await load("/api/generate", { prompt: "", keep_alive: "0" });
  assert.partialDeepStrictEqual(left, { ...head, response: "", done_reason: "unload" });
  assert.deepEqual(inference.kept, [null, -1, 0].map((keepAliveMs) => ({ model: "scripted", keepAliveMs })));
  assert.equal(engine.requests.length, 0);
});

Deno.test("keep_alive reaches the engine with a prompt, and a wrong one is refused", async () => {
  assert.equal((await askedBy("/api/chat", { ...HELLO, keep_alive: "1h30m" })).keepAliveMs, 5_400_000);
  assert.equal((await askedBy("/api/generate", { prompt: "x", keep_alive: 0 })).keepAliveMs, 0);
  assert.equal((await askedBy("/api/chat", HELLO)).keepAliveMs, null);
  for (const body of [{ ...HELLO, keep_alive: "5 minutes" }, { keep_alive: "5 minutes" }]) {
    const response = await postJson(createTestApp().app, "/api/chat", { body: { model: "scripted", ...body } });
    assert.equal(response.status, 400);
    assert.match((await readJson(response)).error, /"5 minutes" is no duration/);
  }
});

Deno.test("Options reach the engine, and unknown ones are accepted", async () => {
  const options = {
    temperature: 0,
    top_k: 3,
    top_p: 0.4,
    min_p: 0.2,
    seed: 5,
    num_predict: 7,
    stop: ["END"],
    repeat_penalty: 1.2,
    presence_penalty: 0.3,
    frequency_penalty: 0.4,
    num_ctx: 1_000_000,
    mirostat: 2,
  };
  const { sampling, stop, completionTokensMax } = await askedBy("/api/chat", { ...HELLO, options });
  assert.deepEqual(sampling, {
    temperature: 0,
    topK: 3,
    topP: 0.4,
    minP: 0.2,
    seed: 5,
    repeatPenalty: 1.2,
    presencePenalty: 0.3,
    frequencyPenalty: 0.4,
    logitBias: {},
  });
  assert.deepEqual([stop, completionTokensMax], [["END"], 7]);
  for (const num_predict of [-1, -2, 0, null]) {
    const request = await askedBy("/api/chat", { ...HELLO, options: { num_predict, seed: -1, stop: "x" } });
    assert.deepEqual([request.completionTokensMax, request.sampling.seed, request.stop], [null, null, ["x"]]);
  }
});

Deno.test("The bodies of Ollama's own extension and of Home Assistant get answers as they are", async () => {
  assert.deepEqual((await askedBy("/api/chat", OLLAMA_EXTENSION_BODY)).messages, OLLAMA_EXTENSION_BODY.messages);
  const { messages, keepAliveMs, reasoning } = await askedBy("/api/chat", HOME_ASSISTANT_BODY);
  const toolCalls = [{ id: "call_0", name: "HassTurnOn", arguments: '{"area":"kitchen"}' }];
  assert.deepEqual(messages!.slice(2), [
    { role: "assistant", content: "", toolCalls },
    { role: "tool", content: '{"data":{},"error":null}', toolCallId: "call_0", toolName: "HassTurnOn" },
  ]);
  assert.deepEqual([keepAliveMs, reasoning], [-1, { enabled: false, tokensMax: null }]);
});

Deno.test("What is wrong or not served gets a 400 in Ollama's shape, and the engine is not asked", async () => {
  const wrong: [path: string, body: object, message: RegExp][] = [
    ["/api/chat", { messages: [{ role: "user", content: "", images: ["AA=="] }] }, /cannot see images/],
    ["/api/generate", { prompt: "x", images: ["AA=="] }, /cannot see images/],
    ["/api/generate", { prompt: "x", suffix: "y" }, /"scripted" does not support insert/],
    ["/api/generate", { prompt: "x", template: "y" }, /the model's own template/],
    ["/api/generate", { prompt: "x", context: [1] }, /use \/api\/chat/],
    ["/api/generate", { prompt: 7 }, /"prompt": expected string/],
    ["/api/chat", { ...HELLO, format: "yaml" }, /"format": expected "json" or a JSON Schema/],
    ["/api/chat", { ...HELLO, format: ["json"] }, /"format": expected "json" or a JSON Schema/],
    ["/api/chat", { ...HELLO, think: true }, /^"scripted" does not support thinking/],
    ["/api/chat", { ...HELLO, think: "low" }, /^"scripted" does not support thinking/],
    ["/api/generate", { prompt: "x", think: true }, /^"scripted" does not support thinking/],
    ["/api/chat", { ...HELLO, think: "hard" }, /"think": expected true, false, "low"/],
    ["/api/chat", { ...HELLO, logprobs: true, top_logprobs: 21 }, /"top_logprobs"/],
    ["/api/chat", { ...HELLO, model: "scripted-embedder" }, /"scripted-embedder" does not support chat/],
    ["/api/generate", { model: "scripted-embedder", prompt: "x" }, /"scripted-embedder" does not support chat/],
    ["/api/chat", { ...HELLO, tools: [{ type: "function", function: {} }] }, /"tools\[0\].function.name"/],
    ["/api/copy", { source: "scripted", destination: "x" }, /copies no models/],
    ["/api/create", { from: "scripted" }, /makes no models/],
    ["/api/push", {}, /sends no model anywhere/],
    ["/api/chat", { messages: [{ role: "robot", content: "" }] }, /"messages\[0\].role"/],
    ["/api/chat", { ...HELLO, options: { temperature: "hot" } }, /"options.temperature": expected number/],
    ["/api/chat", { ...HELLO, options: { stop: Array(17).fill("x") } }, /"options.stop"/],
    ["/api/chat", { ...HELLO, stream: "no" }, /"stream": expected boolean/],
  ];
  for (const [path, body, message] of wrong) {
    const { engine, app } = createTestApp();
    const response = await postJson(app, path, { body: { model: "scripted", ...body } });
    assert.equal(response.status, 400, JSON.stringify(body));
    const answer = await readJson(response);
    assert.deepEqual(Object.keys(answer), ["error"]);
    assert.match(answer.error, message);
    assert.equal(engine.requests.length, 0);
  }
});

Deno.test("Empty values of what is not served count as absent", async () => {
  const body = { prompt: "x", suffix: "", template: "", context: [], images: [], format: "", think: null, system: "" };
  assert.equal((await askedBy("/api/generate", body)).messages!.length, 1);
});

Deno.test("A name with :latest is answered under that name", async () => {
  const { app } = createTestApp();
  const lines = await readLines(await postJson(app, "/api/chat", { body: { ...HELLO, model: "scripted:latest" } }));
  assert.ok(lines.every(({ model }) => model === "scripted:latest"));
});

Deno.test("A failure after the status is a last line that holds the error alone", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue("so far", { fail: new DomainError("engine_gone", "It ended") });
  const lines = await readLines(await postJson(app, "/api/chat", { body: HELLO }));
  assert.deepEqual(lines.at(-1), { error: "It ended" });
  assert.equal(lines.length, 2);
});

Deno.test("What the engine refuses decides the status, also of a stream", async () => {
  const { app } = createTestApp({ model: { contextTokensMax: 8 } });
  const response = await postJson(app, "/api/chat", { body: HELLO });
  assert.equal(response.status, 400);
  assert.match((await readJson(response)).error, /12 tokens.* 8 tokens/);
});

Deno.test("Unknown routes and methods of /api are answered in Ollama's shape", async () => {
  const { app } = createTestApp();
  const unknown = await postJson(app, "/api/blobs", { body: { model: "x" } });
  assert.equal(unknown.status, 404);
  assert.equal(typeof (await readJson(unknown)).error, "string");
  const wrong = await app.request("/api/chat");
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "POST");
  assert.equal(typeof (await readJson(wrong)).error, "string");
});
