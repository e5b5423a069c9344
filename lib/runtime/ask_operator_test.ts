import assert from "node:assert/strict";
import { makeCertificate } from "../../tests/fixtures/certificate.ts";
import { askOperator } from "./ask_operator.ts";
import { Door } from "./door.ts";

const question = { method: "POST", path: "/api/admin/database/backups", timeoutMs: 10_000 };

/** Opens a door that answers with what it was asked, and keeps it. */
function openDoor(tls: { cert: string; key: string } | null): { door: Door; seen: string[] } {
  const seen: string[] = [];
  const door = new Door({ host: "127.0.0.1", port: 0, tls }, (request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname} ${request.headers.get("authorization")}`);
    return new Response("made", { status: 201 });
  });
  return { door, seen };
}

Deno.test("askOperator() asks with the token, over http and TLS, whatever the certificate is called and who vouches for it", async () => {
  for (const tls of [null, makeCertificate(), makeCertificate({ authority: true })]) {
    const { door, seen } = openDoor(tls);
    const url = `${tls === null ? "http" : "https"}://127.0.0.1:${door.port}`;
    const answer = await askOperator({ url, cert: tls?.cert ?? null, token: "of-the-operator" }, question);
    assert.deepEqual(answer, { status: 201, text: "made" });
    assert.deepEqual(seen, ["POST /api/admin/database/backups Bearer of-the-operator"]);
    await door.close(1_000);
  }
});

Deno.test("askOperator() shows the token to nobody who shows another certificate", async () => {
  const { door, seen } = openDoor(makeCertificate());
  const { cert } = makeCertificate();
  const note = { url: `https://127.0.0.1:${door.port}`, cert, token: "of-the-operator" };
  await assert.rejects(askOperator(note, question), /it shows another certificate/);
  assert.deepEqual(seen, []);
  await door.close(1_000);
  await assert.rejects(askOperator(note, question), { code: "ECONNREFUSED" });
});
