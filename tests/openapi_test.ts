import assert from "node:assert/strict";
import type { JsonSchema } from "../lib/contracts/chat.ts";
import { createValidator } from "../lib/schema/validate.ts";
import { readJson } from "./fixtures/http.ts";
import { openWholeHouse, type WholeHouse } from "./fixtures/whole_house.ts";

/** What is looked at of a schema here. */
type Schema = { [keyword: string]: unknown };

/** A body, or none, by its media type. */
type Content = Record<string, { schema: Schema }>;

/** The parts of an OpenAPI document that are looked at here. */
interface Operation {
  parameters?: { name: string; in: string; schema: Schema }[];
  summary?: string;
  requestBody?: { content: Content };
  responses: Record<string, { description: string; content?: Content }>;
}

/** What says in its path alone what is to be done. */
const BODILESS = new RegExp(
  "^(POST /api/auth/(logout|refresh)" +
    "|DELETE /api/(keys|conversations|admin|auth/(sessions|identities))(/.*)?" +
    "|POST /api/conversations/[^ ]*/(restore|stop)" +
    "|POST /api/admin/(users/\\{id\\}/reset-link|models/\\{id\\}/unload|database/backups))$",
);

/** What another site's page posts. */
const FORMS = new Set(["POST /api/auth/oauth/{provider}/callback"]);

/** Media types of what is not JSON: streams and files. Nothing else may be without a schema. */
const OTHER_TYPES: Record<string, string> = {
  "GET /api/conversations/{id}/messages/{messageId}/events": "text/event-stream",
  "POST /api/admin/models/pull": "text/event-stream",
  "POST /api/conversations/{id}/messages": "text/event-stream",
  "POST /api/conversations/{id}/messages/{messageId}/continue": "text/event-stream",
  "POST /api/conversations/{id}/messages/{messageId}/edit": "text/event-stream",
  "POST /api/conversations/{id}/messages/{messageId}/regenerate": "text/event-stream",
  "GET /api/admin/database/backups/{name}": "application/gzip",
};

/** Statuses that have no body by their nature. */
const EMPTY = ["204"];

function listOperations(paths: Record<string, Record<string, Operation>>): Map<string, Operation> {
  return new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const)
    ),
  );
}

function checkOperation(name: string, { summary, requestBody, responses }: Operation): void {
  assert.ok(summary, `${name} has no summary`);
  if (/^(POST|PUT|PATCH|DELETE)/.test(name)) {
    const content = requestBody?.content[FORMS.has(name) ? "application/x-www-form-urlencoded" : "application/json"];
    assert.ok(BODILESS.test(name) ? requestBody === undefined : content?.schema, `${name} has no body`);
    for (const status of ["400", "404", "413", "415", "429"]) assert.ok(responses[status], `${name} lacks ${status}`);
  }
  const needed = name.startsWith("GET /health") ? ["403"] : ["403", "500"];
  for (const status of needed) assert.ok(responses[status], `${name} lacks ${status}`);
  for (const [status, { description, content }] of Object.entries(responses)) {
    assert.ok(description, `${name} ${status} has no description`);
    if (EMPTY.includes(status)) continue;
    const type = status === "200" ? OTHER_TYPES[name] ?? "application/json" : "application/json";
    assert.ok(content?.[type]?.schema, `${name} ${status} has no schema`);
  }
}

/** What stands at the end of a reference, or the schema itself. */
function resolve(schema: Schema, schemas: Record<string, Schema>): Schema {
  const name = typeof schema["$ref"] === "string" ? schema["$ref"].split("/").at(-1)! : null;
  return name === null ? schema : schemas[name]!;
}

/** An example of a body: its own, or that of its fields, or null where a field that must be there has none. */
function findExample(body: Schema): unknown {
  if ("example" in body) return body["example"];
  const { properties = {}, required = [] } = body as { properties?: Record<string, Schema>; required?: string[] };
  if (required.some((name) => !("example" in properties[name]!))) return null;
  const examples = Object.entries(properties).filter(([, field]) => "example" in field);
  return Object.fromEntries(examples.map(([name, field]) => [name, field["example"]]));
}

/** The `data` of the events with which a message is answered, and with which its answer is followed from `after` on. */
async function streamAnswer(house: WholeHouse, after: string): Promise<{ posted: unknown[]; followed: unknown[] }> {
  const { engine } = house.inference;
  const [call] = [{ type: "tool_call" as const, index: 0, id: "call_1", name: "look", arguments: "{}" }];
  engine.enqueue("Coots", { type: "reasoning", text: "hm" }, call);
  const ada = house.visit();
  await ada.join("ada@example.org");
  const { id } = await readJson(await ada.post("/api/conversations", {}));
  const path = `/api/conversations/${id}/messages`;
  const headers = { accept: "text/event-stream" };
  const body = JSON.stringify({ parentId: null, content: "Which birds?" });
  const posted = await readData(await ada.send("POST", path, { body, headers }));
  const { answerId } = posted[0] as { answerId: string };
  const back = { headers: { "Last-Event-ID": after } };
  return { posted, followed: await readData(await ada.send("GET", `${path}/${answerId}/events`, back)) };
}

async function readData(response: Response): Promise<unknown[]> {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!));
}

Deno.test("/openapi.json", async (t) => {
  await using house = await openWholeHouse();
  const document = await readJson(await house.visit().get("/openapi.json"));
  const operations = listOperations(document.paths);
  const schemas: Record<string, Schema> = document.components.schemas;

  await t.step("describes every route that there is, the greeting at / apart", () => {
    const routes = house.functions.flatMap((app) => app.routes).filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
    assert.deepEqual([...operations.keys()].sort(), [...new Set(routes)].filter((route) => route !== "GET /").sort());
  });

  await t.step("says of every route what it does, takes, answers and fails with", () => {
    for (const [name, operation] of operations) checkOperation(name, operation);
  });

  await t.step("has an example of every body, one that its schema allows", () => {
    const check = createValidator(document as JsonSchema);
    let examples = 0;
    for (const [name, { requestBody }] of operations) {
      const schema = requestBody?.content["application/json"]?.schema;
      if (schema === undefined) continue;
      const body = resolve(schema, schemas);
      // What is refused in any case takes anything.
      if (Object.keys((body["properties"] ?? {}) as Schema).length === 0) continue;
      const example = findExample(body);
      assert.notEqual(example, null, `${name} has no example`);
      assert.equal(check(example, body as JsonSchema), null, name);
      examples++;
    }
    assert.ok(examples > 35, `${examples} are not all`);
  });

  await t.step("says what the events of an answer are, and that whoever comes back tells the last one", async () => {
    const post = operations.get("POST /api/conversations/{id}/messages")!;
    const follow = operations.get("GET /api/conversations/{id}/messages/{messageId}/events")!;
    const { schema: id } = follow.parameters!.find((each) => each.name === "Last-Event-ID" && each.in === "header")!;
    assert.match("12", new RegExp(id["pattern"] as string));
    const check = createValidator(document as JsonSchema);
    const { posted, followed } = await streamAnswer(house, "1");
    assert.equal(followed.length, posted.length - 2);
    for (const [operation, events] of [[post, posted], [follow, followed]] as const) {
      const { schema } = operation.responses["200"]!.content!["text/event-stream"]!;
      for (const event of events) assert.equal(check(event, schema as JsonSchema), null, JSON.stringify(event));
      assert.notEqual(check({ type: "text", words: "x" }, schema as JsonSchema), null);
    }
    const types = (events: unknown[]) => events.map((event) => (event as { type: string }).type);
    assert.deepEqual(types(posted), ["posted", "text", "reasoning", "tool_call", "done"]);
    assert.ok("AnswerEvent" in schemas);
  });

  await t.step("refers to no schema that it does not hold", () => {
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)]
      .map(([, name]) => name!);
    assert.ok(references.length > 100);
    assert.deepEqual(references.filter((name) => !(name in schemas)), []);
  });
});
