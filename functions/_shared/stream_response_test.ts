import assert from "node:assert/strict";
import { ANONYMOUS, type Principals } from "../../lib/accounts/principal.ts";
import { DomainError } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import { createFunction } from "./create_function.ts";
import { LOCAL_INGRESS } from "./ingress.ts";
import { type NumberedPayload, respondWithNumberedEvents } from "./sse.ts";

Deno.test("A stream whose reader loses the right to it says so, also when what it comes from ends in silence", async () => {
  const access = new AbortController();
  const principals: Principals = {
    resolve: () => Promise.resolve({ ...ANONYMOUS, scopes: ["read"] }),
    watch: () => ({ signal: access.signal, end() {} }),
  };
  const edge = {
    apiKey: null,
    principals,
    ingress: { ...LOCAL_INGRESS, allowHttp: true },
    allowedHosts: [],
    allowedOrigins: [],
    log: silentLogger,
  };
  const app = createFunction("test", edge, { scopes: ["read"] });
  app.get("/", (c) => {
    const left = Promise.withResolvers<void>();
    async function* tell(): AsyncGenerator<NumberedPayload, void, void> {
      yield { seq: 1, payload: { type: "first" } };
      await left.promise;
    }
    return respondWithNumberedEvents(c, tell(), left.resolve);
  });
  const response = await app.request("/");
  assert.equal(response.status, 200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value!;
  assert.match(text, /first/);
  access.abort(new DomainError("session_revoked", "This session has ended; log in again"));
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  assert.match(text, /"code":"session_revoked"/);
});
