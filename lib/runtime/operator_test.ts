import assert from "node:assert/strict";
import { createKeyPrincipals } from "../accounts/key_principals.ts";
import { toClaims } from "../accounts/principal.ts";
import { makeDataFolder, nameDataFolder } from "./data_folder.ts";
import { admitOperator, noteOperator, OPERATOR, readOperator } from "./operator.ts";

const API_KEY = "correct-horse-battery";

Deno.test("Whoever shows the operator's token is let in beside everybody else, and nobody by another one", async () => {
  const { principals, token } = admitOperator(createKeyPrincipals(API_KEY));
  const resolve = (bearer: string | null) => principals.resolve({ bearer, cookie: null, isLocal: true });
  assert.equal(await resolve(token), OPERATOR);
  assert.notEqual((await resolve(API_KEY)).keyId, OPERATOR.keyId);
  await assert.rejects(resolve(`${token}x`), { code: "invalid_api_key" });
  await assert.rejects(resolve(null), { code: "invalid_api_key" });
  assert.notEqual(admitOperator(createKeyPrincipals(null)).token, token);
  assert.deepEqual(toClaims(OPERATOR), { sub: null, role: "service_role", app_role: "admin" });
});

Deno.test("The operator's note is for the folder's owner alone, and none is read as null", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = nameDataFolder(root);
    await makeDataFolder(folder);
    assert.equal(await readOperator(folder), null);
    const note = { url: "http://127.0.0.1:8000", cert: null, token: "secret" };
    noteOperator(folder, note);
    assert.deepEqual(await readOperator(folder), note);
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(folder.operator)).mode! & 0o777, 0o600);
    await Deno.writeTextFile(folder.operator, "{");
    assert.equal(await readOperator(folder), null);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
