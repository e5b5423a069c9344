import assert from "node:assert/strict";
import { verifyBackup } from "../../lib/database/backup.ts";
import { type Browser, readRefusal } from "../../tests/fixtures/accounts.ts";
import { withAdminHouse } from "../../tests/fixtures/admin.ts";
import { readJson } from "../../tests/fixtures/http.ts";

const FAR = { address: "192.168.1.77", origin: "https://rookery.example", headers: { "x-forwarded-proto": "https" } };
const PROXIED = { ingress: { publicUrl: "https://rookery.example", trustedProxies: ["192.168.1.0/24"] } };

/** What stands for a parameter of a path; an invitation's id is a hash. */
function fillPath(path: string): string {
  const id = path.includes("/invitations/") ? "0".repeat(64) : "01890000-0000-7000-8000-000000000000";
  return path.replace("{id}", id).replace("{name}", "rookery-20261124T120000Z.backup");
}

/** Every route of administration that the description names, with ids that are well formed. */
async function listRoutes(browser: Browser): Promise<{ method: string; path: string }[]> {
  const { paths } = await readJson(await browser.get("/openapi.json"));
  return Object.entries<object>(paths).filter(([path]) => path.startsWith("/api/admin")).flatMap(([path, methods]) => {
    return Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: fillPath(path) }));
  });
}

async function ask(browser: Browser, { method, path }: { method: string; path: string }): Promise<Response> {
  return await browser.send(method, path, method === "GET" || method === "DELETE" ? {} : { body: {} });
}

withAdminHouse("No route of administration lets in who is no administrator", async (admin) => {
  const { ada, house, invite } = admin;
  const people = { user: await invite("bob@example.org"), reader: await invite("cleo@example.org", "read_only") };
  const routes = await listRoutes(ada);
  assert.ok(routes.length >= 25, String(routes.length));
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    for (const [who, browser] of Object.entries(people)) {
      assert.deepEqual(await readRefusal(await ask(browser, route)), [403, "forbidden"], `${who}: ${name}`);
    }
    assert.deepEqual(await readRefusal(await ask(house.visit(FAR), route)), [401, "unauthorized"], name);
  }
  const { data } = await readJson(await ada.get("/api/admin/users?search=bob"));
  await ada.send("PATCH", `/api/admin/users/${data[0].id}`, { body: { suspended: true } });
  for (const route of routes) {
    assert.deepEqual(await readRefusal(await ask(people.user, route)), [403, "account_suspended"], route.path);
  }
}, PROXIED);

withAdminHouse("Who sits at the machine manages models, and neither accounts nor anybody's data", async (admin) => {
  const { ada, house } = admin;
  const open = /^\/api\/admin\/(models|jobs)/;
  const local = house.visit();
  for (const route of await listRoutes(ada)) {
    if (open.test(route.path)) continue;
    assert.deepEqual(await readRefusal(await ask(local, route)), [403, "forbidden"], `${route.method} ${route.path}`);
  }
  assert.equal((await local.get("/api/admin/models")).status, 200);
  assert.equal((await local.get("/api/admin/jobs")).status, 200);
  assert.deepEqual(await readRefusal(await local.post("/api/admin/invitations", {})), [403, "forbidden"]);
});

withAdminHouse("Models are listed with what is in memory, loaded, unloaded and removed", async (admin) => {
  const { ada, home, inference } = admin;
  const find = async (id: string) => {
    const { data } = await readJson(await ada.get("/api/admin/models"));
    return data.find((model: { id: string }) => model.id === id) ?? null;
  };
  assert.partialDeepStrictEqual(await find("tiny"), { state: "available", kind: null, licence: "MIT", loaded: null });
  assert.partialDeepStrictEqual(await find("scripted-embedder"), { state: "remote", kind: "embedding" });
  await home.pull();
  assert.partialDeepStrictEqual(await find("tiny"), { state: "installed", kind: "chat", loaded: null });
  assert.equal((await ada.post("/api/admin/models/tiny/load", { keepAliveMs: -1 })).status, 200);
  assert.partialDeepStrictEqual((await find("tiny")).loaded, { state: "ready", expiresAtMs: null });
  assert.equal((await ada.post("/api/admin/models/tiny/unload")).status, 200);
  assert.equal((await find("tiny")).loaded, null);
  assert.deepEqual(inference.kept, [{ model: "tiny", keepAliveMs: -1 }, { model: "tiny", keepAliveMs: 0 }]);
  assert.equal((await ada.send("DELETE", "/api/admin/models/TINY")).status, 200);
  assert.deepEqual(await home.names(), []);
  assert.deepEqual(await readRefusal(await ada.post("/api/admin/models/none/load", {})), [404, "model_not_found"]);
  assert.deepEqual(await readRefusal(await ada.send("DELETE", "/api/admin/models/none")), [404, "model_not_found"]);
  const pages = await readJson(await ada.get("/api/admin/models?limit=1"));
  assert.equal(pages.data[0].id, "scripted-embedder");
  const rest = await readJson(await ada.get(`/api/admin/models?limit=1&cursor=${pages.nextCursor}`));
  assert.deepEqual([rest.data[0].id, rest.nextCursor], ["tiny", null]);
});

withAdminHouse("A pull tells how far it is, and at last that it is done or why it is not", async ({ ada, home }) => {
  const response = await ada.post("/api/admin/models/pull", { model: "tiny" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const text = await response.text();
  assert.match(text, /^event: progress\ndata: \{"type":"progress","file":"tiny\.gguf"/);
  assert.match(text, /\n\nevent: done\ndata: \{"type":"done"\}\n\n$/);
  assert.ok((await home.names()).includes("tiny.gguf"));
  for (const model of ["none", "http://127.0.0.1:1/x.gguf", "../../etc/passwd"]) {
    const failed = await (await ada.post("/api/admin/models/pull", { model })).text();
    assert.match(failed, /^event: error\ndata: \{"type":"error","error":\{.*"code":"model_not_found"/, model);
  }
});

withAdminHouse("Jobs tell of answers, requests and pulls", async ({ ada }) => {
  const jobs = await readJson(await ada.get("/api/admin/jobs"));
  assert.partialDeepStrictEqual(jobs, { answersInProgress: 0, pulls: [] });
  assert.equal(jobs.engine.state, "ready");
  assert.equal(jobs.engine.models, undefined);
});

withAdminHouse("The database is described, and backed up into a file that restores", async (admin) => {
  const { ada, backupsDir } = admin;
  const described = await readJson(await ada.get("/api/admin/database"));
  assert.equal(described.kind, "embedded");
  assert.match(described.postgres, /^\d+\.\d+$/);
  assert.match(described.version, /^\d{14}$/);
  assert.ok(described.sizeBytes > 1_000_000 && described.walBytes > 0);
  assert.deepEqual((await readJson(await ada.get("/api/admin/database/backups"))).data, []);
  const made = await ada.post("/api/admin/database/backups");
  assert.equal(made.status, 201);
  const backup = await readJson(made);
  assert.equal(backup.path, `${backupsDir}/${backup.name}`);
  assert.equal((await verifyBackup(backup.path)).rows, backup.rows);
  const { data } = await readJson(await ada.get("/api/admin/database/backups"));
  assert.deepEqual(data.map(({ name, bytes }: typeof backup) => [name, bytes]), [[backup.name, backup.bytes]]);
  const file = await ada.get(`/api/admin/database/backups/${backup.name}`);
  assert.equal(file.headers.get("content-disposition"), `attachment; filename="${backup.name}"`);
  assert.deepEqual(new Uint8Array(await file.arrayBuffer()), await Deno.readFile(backup.path));
  const audit = await readJson(await ada.get("/api/admin/audit?action=export"));
  assert.deepEqual(audit.data.map(({ target }: { target: string }) => target), [backup.name, "all data"]);
  assert.equal((await ada.send("DELETE", `/api/admin/database/backups/${backup.name}`)).status, 200);
  const gone = await ada.get(`/api/admin/database/backups/${backup.name}`);
  assert.deepEqual(await readRefusal(gone), [404, "not_found"]);
  const odd = await ada.get("/api/admin/database/backups/..%2F..%2Fsecrets%2Fsessions");
  assert.deepEqual(await readRefusal(odd), [400, "invalid_request"]);
});

withAdminHouse(
  "The operator, who may read the data folder, backs up without an account, and administers nobody",
  async (admin) => {
    const { house, operatorToken, backupsDir } = admin;
    const operator = house.visit({ ...FAR, headers: { ...FAR.headers, authorization: `Bearer ${operatorToken}` } });
    assert.equal((await operator.get("/api/admin/database")).status, 200);
    const { name } = await readJson(await operator.post("/api/admin/database/backups"));
    assert.ok((await Deno.stat(`${backupsDir}/${name}`)).size > 0);
    assert.deepEqual(await readRefusal(await operator.get("/api/admin/users")), [403, "forbidden"]);
  },
  PROXIED,
);
