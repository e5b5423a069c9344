import assert from "node:assert/strict";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { postJson, readJson } from "../../tests/fixtures/http.ts";
import { createApp } from "./app.ts";

const app = createApp({ inference: createEngineTable([createScriptedEngine({ model: { contextTokensMax: 512 } })]) });

Deno.test("POST /v1/tokenize tells a text's tokens and the context that is served, as vLLM does", async () => {
  for (const path of ["/v1/tokenize", "/tokenize"]) {
    const response = await postJson(app, path, {
      body: { model: "scripted", prompt: "né", add_special_tokens: false },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.deepEqual(await readJson(response), { tokens: [0x6e, 0xe9], count: 2, max_model_len: 512 });
  }
});

Deno.test("An empty text has no tokens", async () => {
  const response = await postJson(app, "/v1/tokenize", { body: { model: "scripted", prompt: "" } });
  assert.deepEqual(await readJson(response), { tokens: [], count: 0, max_model_len: 512 });
});

Deno.test("What cannot be counted is refused with what to do", async () => {
  const refused: [body: object, status: number, param: string, message: RegExp][] = [
    [{ prompt: "a" }, 400, "model", /./],
    [{ model: "gpt-4", prompt: "a" }, 404, "model", /there is "scripted"/],
    [{ model: "scripted" }, 400, "prompt", /as prompt/],
    [{ model: "scripted", prompt: ["a"] }, 400, "prompt", /expected a text/],
    [{ model: "scripted", messages: [{ role: "user", content: "a" }] }, 400, "prompt", /usage tells/],
  ];
  for (const [body, status, param, message] of refused) {
    const response = await postJson(app, "/v1/tokenize", { body });
    assert.equal(response.status, status, JSON.stringify(body));
    const { error } = await readJson(response);
    assert.equal(error.param, param);
    assert.match(error.message, message);
  }
});
