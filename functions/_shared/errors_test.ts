import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { refuseRequest } from "./errors.ts";

const starting = new DomainError("engine_unavailable", "Come back later");

Deno.test("a request that no function has yet is refused in the dialect of its path", async () => {
  const openai = refuseRequest(new Request("http://127.0.0.1/v1/models"), starting);
  assert.equal(openai.status, 503);
  assert.equal(openai.headers.get("content-type"), "application/json");
  assert.equal(openai.headers.get("retry-after"), "5");
  const { error: { requestId, ...error } } = await openai.json();
  assert.deepEqual(error, {
    message: "Come back later",
    type: "server_error",
    code: "engine_unavailable",
    param: null,
  });
  assert.match(requestId, /^[0-9a-f-]{36}$/);

  const ollama = refuseRequest(new Request("http://127.0.0.1/api/tags"), starting);
  assert.equal(ollama.status, 503);
  assert.deepEqual(await ollama.json(), { error: "Come back later" });
});
