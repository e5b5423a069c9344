import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { makeCertificate } from "../../tests/fixtures/certificate.ts";
import { DomainError } from "../errors.ts";
import { Door } from "./door.ts";

const answerEarly = () => new Response("later", { status: 503 });

Deno.test("a door tells who comes too early to come back, and lets the others through", async () => {
  const door = new Door({ host: "127.0.0.1", port: 0 }, answerEarly);
  const early = await fetch(`http://127.0.0.1:${door.port}/v1/models`);
  assert.equal(early.status, 503);
  assert.equal(await early.text(), "later");
  door.open(() => new Response("welcome"));
  const later = await fetch(`http://127.0.0.1:${door.port}/`);
  assert.equal(later.status, 200);
  assert.equal(await later.text(), "welcome");
  await door.close(1_000);
});

Deno.test("a door that cannot be had says which other could", async () => {
  const door = new Door({ host: "127.0.0.1", port: 0 }, answerEarly);
  const { port } = door;
  assert.throws(() => new Door({ host: "127.0.0.1", port }, answerEarly), (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "port_busy");
    assert.ok(error.message.includes(`port ${port} of 127.0.0.1`) && error.message.includes("PORT="));
    return true;
  });
  await door.close(1_000);
  // An address that is set aside for documentation, so that no machine has it (RFC 5737).
  assert.throws(() => new Door({ host: "192.0.2.1", port: 0 }, answerEarly), { code: "invalid_config" });
});

Deno.test("a door that closes waits for an answer under way, but not for ever", async () => {
  const door = new Door({ host: "127.0.0.1", port: 0 }, answerEarly);
  const { port } = door;
  const answer = Promise.withResolvers<Response>();
  const came = Promise.withResolvers<void>();
  door.open(() => {
    came.resolve();
    return answer.promise;
  });
  const slow = fetch(`http://127.0.0.1:${port}/`);
  await came.promise;
  await door.close(20);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`), TypeError);
  answer.resolve(new Response("in the end"));
  assert.equal(await (await slow).text(), "in the end");
});

Deno.test("a door with a certificate speaks TLS, and nothing else", async () => {
  const tls = makeCertificate();
  const door = new Door({ host: "127.0.0.1", port: 0, tls }, () => new Response("welcome"));
  using client = Deno.createHttpClient({ caCerts: [tls.cert] });
  const response = await fetch(`https://127.0.0.1:${door.port}/`, { client });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "welcome");
  await assert.rejects(fetch(`http://127.0.0.1:${door.port}/`), TypeError);
  await door.close(1_000);
});

Deno.test("a door refuses a key that is another certificate's, is locked, or is none, and says so", () => {
  const { cert, key } = makeCertificate();
  const locked = createPrivateKey(key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }).toString();
  const broken = key.replace(/\n[^]*\n-/, "\nnonsense\n-");
  for (const wrong of [makeCertificate().key, locked, broken]) {
    assert.throws(() => new Door({ host: "127.0.0.1", port: 0, tls: { cert, key: wrong } }, answerEarly), (error) => {
      assert.ok(error instanceof DomainError);
      assert.equal(error.code, "invalid_config");
      assert.match(error.message, /^Cannot speak TLS with what is in TLS_CERT and TLS_KEY: .*; the key must be /);
      return true;
    });
  }
});
