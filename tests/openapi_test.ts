import assert from "node:assert/strict";
import { createApp as createAuth } from "../functions/auth/app.ts";
import { createApp as createChatCompletions } from "../functions/chat-completions/app.ts";
import { createApp as createCompletions } from "../functions/completions/app.ts";
import { createApp as createEmbeddings } from "../functions/embeddings/app.ts";
import { createApp as createKeys } from "../functions/keys/app.ts";
import { createApp as createModels } from "../functions/models/app.ts";
import { createApp as createOllama } from "../functions/ollama/app.ts";
import { createApp as createResponses } from "../functions/responses/app.ts";
import { createApp as createStatus } from "../functions/status/app.ts";
import { createApp as createTokenize } from "../functions/tokenize/app.ts";
import { mountFunctions } from "../functions/_shared/mount.ts";
import { silentLogger } from "../lib/log.ts";
import { createTestAccounts } from "./fixtures/accounts.ts";
import { createClosedDatabase } from "./fixtures/closed_database.ts";
import { createEmptyCatalog } from "./fixtures/empty_catalog.ts";
import { ScriptedInference } from "./fixtures/scripted_inference.ts";

/** The parts of an OpenAPI document that are looked at here. */
interface Operation {
  summary?: string;
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}

/** What says in its path alone what is to be done. */
const BODILESS = /^(POST \/api\/auth\/(logout|refresh)|DELETE \/api\/(keys|auth\/(sessions|identities))(\/.*)?)$/;

/** What another site's page posts. */
const FORMS = new Set(["POST /api/auth/oauth/{provider}/callback"]);

const edge = { apiKey: null, allowedHosts: [], allowedOrigins: [], log: silentLogger };
const creators = [
  createAuth,
  createChatCompletions,
  createCompletions,
  createEmbeddings,
  createKeys,
  createModels,
  createOllama,
  createResponses,
  createStatus,
  createTokenize,
];
const database = createClosedDatabase();
const accounts = createTestAccounts(database);
const parts = { accounts, database, inference: new ScriptedInference(), library: createEmptyCatalog(), edge };
const functions = creators.map((create) => create(parts));

async function readDocument(): Promise<{ text: string; operations: Map<string, Operation> }> {
  const document = { title: "Rookery", version: "1.0.0", description: "Test" };
  const { fetch } = mountFunctions(functions, { edge, document });
  const text = await (await fetch(new Request("http://localhost/openapi.json"))).text();
  const paths: Record<string, Record<string, Operation>> = JSON.parse(text).paths;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const)
  );
  return { text, operations: new Map(operations) };
}

Deno.test("/openapi.json describes every route that there is, the greeting at / apart", async () => {
  const { operations } = await readDocument();
  const routes = functions.flatMap((app) => app.routes).filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
  assert.deepEqual([...operations.keys()].sort(), [...new Set(routes)].filter((route) => route !== "GET /").sort());
});

Deno.test("/openapi.json says of every route what it does, takes, answers and fails with", async () => {
  const { operations } = await readDocument();
  for (const [name, { summary, requestBody, responses }] of operations) {
    assert.ok(summary, `${name} has no summary`);
    if (/^(POST|DELETE)/.test(name)) {
      const content = requestBody?.content[FORMS.has(name) ? "application/x-www-form-urlencoded" : "application/json"];
      assert.ok(BODILESS.test(name) ? requestBody === undefined : content?.schema, `${name} has no body`);
      for (const status of ["400", "404", "413", "415", "429"]) assert.ok(responses[status], `${name} lacks ${status}`);
    }
    assert.ok(responses["403"], `${name} lacks 403`);
    for (const [status, { description, content }] of Object.entries(responses)) {
      assert.ok(description, `${name} ${status} has no description`);
      assert.ok(content?.["application/json"]?.schema, `${name} ${status} has no schema`);
    }
  }
});

Deno.test("/openapi.json refers to no schema that it does not hold", async () => {
  const { text } = await readDocument();
  const schemas = JSON.parse(text).components.schemas;
  const references = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!);
  assert.ok(references.length > 20);
  assert.deepEqual(references.filter((name) => !(name in schemas)), []);
});
