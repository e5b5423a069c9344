import assert from "node:assert/strict";
import { hash, verify } from "@node-rs/argon2";
import { Passwords, requireGoodPassword } from "./passwords.ts";

const PASSWORD = "lavender over the chimney";

Deno.test("A hash is argon2id with OWASP's parameters in the order that Supabase Auth reads, and salted", async () => {
  const passwords = new Passwords();
  const hashes = await Promise.all([passwords.hash(PASSWORD), passwords.hash(PASSWORD)]);
  for (const text of hashes) assert.match(text, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  assert.notEqual(hashes[0], hashes[1]);
  assert.deepEqual(await passwords.verify(hashes[0]!, PASSWORD), { correct: true, renewed: null });
  assert.deepEqual(await passwords.verify(hashes[0]!, `${PASSWORD}.`), { correct: false, renewed: null });
});

Deno.test("The same letters typed as other code points are the same password", async () => {
  const passwords = new Passwords();
  const stored = await passwords.hash("caf\u00e9 au lait");
  assert.equal((await passwords.verify(stored, "cafe\u0301 au lait")).correct, true);
});

Deno.test("Without an account, or with a hash that is none, the same work is done and nothing is right", async () => {
  const compared: [hash: string, password: string][] = [];
  const passwords = new Passwords((hash, password) => {
    compared.push([String(hash), String(password)]);
    return verify(hash, password);
  });
  const stored = await passwords.hash(PASSWORD);
  for (const known of [stored, null, "", "$2a$10$abcdefghijklmnopqrstuv", "plain"]) {
    assert.deepEqual(await passwords.verify(known, "another"), { correct: false, renewed: null });
  }
  assert.equal(compared.length, 5);
  for (const [hash, password] of compared) {
    assert.equal(hash.slice(0, 31), stored.slice(0, 31), "the parameters, which decide how long it takes");
    assert.equal(password, "another");
  }
});

Deno.test("Not even a comparison that says yes opens an account that is not there", async () => {
  const passwords = new Passwords(() => Promise.resolve(true));
  assert.deepEqual(await passwords.verify(null, PASSWORD), { correct: false, renewed: null });
});

Deno.test("A hash of other parameters is renewed when the password is right, and only then", async () => {
  const passwords = new Passwords();
  const old = await hash(PASSWORD, { memoryCost: 8_192, timeCost: 1, parallelism: 1 });
  const { correct, renewed } = await passwords.verify(old, PASSWORD);
  assert.equal(correct, true);
  assert.equal((await passwords.verify(renewed, PASSWORD)).correct, true);
  assert.deepEqual(await passwords.verify(old, "another"), { correct: false, renewed: null });
});

Deno.test("So many hashes at once that they would flood the machine are refused, and the others are made", async () => {
  const passwords = new Passwords();
  const results = await Promise.allSettled(Array.from({ length: 70 }, () => passwords.hash(PASSWORD)));
  const refused = results.filter((result) => result.status === "rejected");
  assert.equal(refused.length, 70 - 2 - 64);
  for (const { reason } of refused) assert.equal(reason.code, "rate_limited");
  assert.match(await passwords.hash(PASSWORD), /^\$argon2id/);
});

Deno.test("requireGoodPassword() refuses what is tried first, in any case, and what the address tells", () => {
  const weak: [password: string, reason: RegExp][] = [
    ["password1", /tried first/],
    ["QWERTYUIOP", /tried first/],
    ["abcabcabcabc", /repeats/],
    ["ADA.Lovelace", /address/],
    ["ada.lovelace@example.org", /address/],
  ];
  for (const [password, message] of weak) {
    const check = () => requireGoodPassword(password, { email: "ada.lovelace@example.org", param: "password" });
    assert.throws(check, { code: "invalid_request", param: "password", message });
  }
  for (const password of [PASSWORD, "пароль для грача", "🐦🌳🌧🔥"]) {
    requireGoodPassword(password, { email: "ada.lovelace@example.org", param: "password" });
  }
});
