import assert from "node:assert/strict";
import { createLogCollector, readJson } from "../../tests/fixtures/http.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { type App, createFunction, type EdgeOptions } from "./create_function.ts";
import { mountFunctions } from "./mount.ts";

const getPet = createRoute({
  method: "get",
  path: "/pets/{name}",
  request: { params: z.object({ name: z.string() }) },
  responses: {
    200: { description: "A pet", content: { "application/json": { schema: z.object({ name: z.string() }) } } },
  },
});

function createTestMount(changes: Partial<EdgeOptions> = {}) {
  const { log, lines } = createLogCollector();
  const edge = { apiKey: null, allowedHosts: [], allowedOrigins: [], log, ...changes };
  const pets: App = createFunction("pets", edge);
  pets.openapi(getPet, (c) => c.json({ name: c.req.valid("param").name }, 200));
  const things: App = createFunction("things", edge);
  things.get("/pets/rex", (c) => c.json({ name: "a thing" }));
  things.post("/things", (c) => c.json({ made: true }));
  const document = { title: "Test", version: "1.2.3", description: "Pets and things" };
  const mounted = mountFunctions([pets, things], { edge, document });
  const ask = async (path: string, init: RequestInit = {}) => {
    return await mounted.fetch(new Request(`http://localhost${path}`, init));
  };
  return { ask, lines };
}

Deno.test("mountFunctions() routes each path to its function, which runs once", async () => {
  const { ask, lines } = createTestMount();
  assert.deepEqual(await (await ask("/pets/a%2Fb")).json(), { name: "a/b" });
  assert.deepEqual(await (await ask("//things/", { method: "POST" })).json(), { made: true });
  assert.deepEqual(lines.map((line) => line["function"]), ["pets", "things"]);
});

Deno.test("mountFunctions() gives a path that two own to the first", async () => {
  assert.deepEqual(await (await createTestMount().ask("/pets/rex")).json(), { name: "rex" });
});

Deno.test("mountFunctions() answers unknown paths and wrong methods with all manners", async () => {
  const { ask, lines } = createTestMount();
  const unknown = await ask("/nowhere", { method: "POST", body: "x" });
  assert.equal(unknown.status, 404);
  assert.equal((await readJson(unknown)).error.code, "not_found");
  assert.ok(unknown.headers.has("x-request-id"));
  const wrong = await ask("/things");
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "POST");
  assert.deepEqual(lines.map((line) => [line["function"], line["status"]]), [["rookery", 404], ["things", 405]]);
  assert.equal((await ask("/nowhere", { headers: { host: "evil.example" } })).status, 403);
});

Deno.test("mountFunctions() describes all functions at /openapi.json, with a key where one is set", async () => {
  const response = await createTestMount().ask("/openapi.json");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  const document = await readJson(response);
  assert.equal(document.openapi, "3.1.0");
  assert.deepEqual(document.info, { title: "Test", version: "1.2.3", description: "Pets and things" });
  assert.equal(document.paths["/pets/{name}"].get.responses["200"].description, "A pet");
  const apiKey = "correct-horse-battery";
  const keyed = createTestMount({ apiKey });
  assert.equal((await keyed.ask("/openapi.json")).status, 401);
  assert.equal((await keyed.ask("/openapi.json", { headers: { authorization: `Bearer ${apiKey}` } })).status, 200);
});
