import assert from "node:assert/strict";
import OpenAI from "openai";
import { createApp } from "../../functions/embeddings/app.ts";
import { serve } from "../fixtures/http.ts";
import { ScriptedInference } from "../fixtures/scripted_inference.ts";

const MODEL = "scripted-embedder";

Deno.test("OpenAI's own library gets the same vectors as base64, which it asks for by itself, and as floats", async () => {
  await using inference = new ScriptedInference();
  await using server = serve(createApp({ inference }));
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  const input = ["raven", "owl"];
  const packed = await client.embeddings.create({ model: MODEL, input });
  const plain = await client.embeddings.create({ model: MODEL, input, encoding_format: "float" });
  assert.deepEqual(packed.data.map(({ index }) => index), [0, 1]);
  assert.deepEqual(packed.data, plain.data);
  assert.equal(packed.data[0]!.embedding.length, 8);
  assert.deepEqual(packed.usage, { prompt_tokens: 8, total_tokens: 8 });
  await assert.rejects(client.embeddings.create({ model: "scripted", input }), {
    status: 400,
    message: /does not support embeddings: name "scripted-embedder"/,
  });
});
