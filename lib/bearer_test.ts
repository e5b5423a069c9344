import assert from "node:assert/strict";
import { isSameSecret, readBearer } from "./bearer.ts";

Deno.test("readBearer() takes the secret, however the word before it is written", () => {
  assert.equal(readBearer("Bearer abc"), "abc");
  assert.equal(readBearer("bearer  a/b+c= "), "a/b+c=");
});

Deno.test("readBearer() takes a header without a secret, or with something else, for none", () => {
  for (const header of [null, "", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b"]) {
    assert.equal(readBearer(header), null, String(header));
  }
});

Deno.test("isSameSecret() tells apart secrets of any length", () => {
  assert.equal(isSameSecret("secret", "secret"), true);
  assert.equal(isSameSecret("secret", "secreT"), false);
  assert.equal(isSameSecret("secret", "secret "), false);
  assert.equal(isSameSecret("", "secret"), false);
});
