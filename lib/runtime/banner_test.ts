import assert from "node:assert/strict";
import { type BannerParts, nameDeno, nameUrl, renderBanner } from "./banner.ts";

const model = {
  id: "smollm2-135m",
  name: "SmolLM2 135M Instruct",
  kind: "chat" as const,
  engine: "llama" as const,
  sizeBytes: 98_362_432,
  sha256: null,
  modifiedAtMs: 0,
  architecture: "llama",
  parameters: null,
  quantization: "Q4_1",
  contextTokensTrained: 8192,
  chatTemplate: null,
  licence: null,
  capabilities: { tools: false, reasoning: false, vision: false, infill: false },
  dimensions: null,
  contextTokensMax: 8192,
  sequences: 4,
};

const parts: BannerParts = {
  url: "http://127.0.0.1:8000",
  model,
  keyed: false,
  embedded: true,
  firstToken: null,
  deno: "deno",
  biggerModelId: "big",
};

Deno.test("renderBanner() says where, what, how to connect and how to get more", () => {
  const banner = renderBanner(parts);
  for (
    const part of [
      "ready at http://127.0.0.1:8000",
      '"smollm2-135m"',
      "8,192 tokens a conversation",
      '"github.copilot.chat.byok.ollamaEndpoint": "http://127.0.0.1:8000"',
      "OLLAMA_HOST=http://127.0.0.1:8000",
      'base_url="http://127.0.0.1:8000/v1"',
      "deno task models pull big",
      "ROOKERY_MODEL=big deno task start",
    ]
  ) {
    assert.ok(banner.includes(part), part);
  }
  assert.ok(!renderBanner({ ...parts, biggerModelId: null }).includes("models pull"));
  assert.ok(renderBanner({ ...parts, keyed: true }).includes("ROOKERY_API_KEY"));
});

Deno.test("renderBanner() says where things are kept, and shows the first account's token only when it is needed", () => {
  assert.match(renderBanner(parts), /Database +embedded/);
  assert.match(renderBanner({ ...parts, embedded: false }), /Database +the server of DATABASE_URL/);
  assert.doesNotMatch(renderBanner(parts), /signup/);
  assert.match(renderBanner({ ...parts, firstToken: "once-only" }), /\/api\/auth\/signup .*"token": "once-only"/);
});

Deno.test("nameUrl() is an address that a client can use", () => {
  assert.equal(nameUrl("0.0.0.0", 8000), "http://127.0.0.1:8000");
  assert.equal(nameUrl("::1", 80), "http://[::1]:80");
  assert.equal(nameUrl("localhost", 1), "http://localhost:1");
  assert.equal(nameUrl("rookery.lan", 443, { tls: true }), "https://rookery.lan:443");
});

Deno.test("nameDeno() knows an npx by its cache", () => {
  assert.equal(nameDeno("/home/me/.npm/_npx/7a40/node_modules/@deno/linux/deno", "2.9.6"), "npx -y deno@2.9.6");
  assert.equal(nameDeno("C:\\Users\\me\\_npx\\1\\deno.exe", "2.9.6"), "npx -y deno@2.9.6");
  assert.equal(nameDeno("/usr/local/bin/deno", "2.9.6"), "deno");
});
