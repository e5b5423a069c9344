import assert from "node:assert/strict";
import { join } from "node:path";
import { loadSecret, requireStrongSecret } from "./secret.ts";

async function withFile(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(join(folder, "secrets", "sessions"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("loadSecret() makes one at the first start that only its owner may read, and keeps it", async () => {
  await withFile(async (path) => {
    const secret = await loadSecret(path);
    assert.match(secret, /^[\w-]{43}$/);
    assert.equal(await loadSecret(path), secret);
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  });
});

Deno.test({
  name: "loadSecret() refuses a file that others may read, and says what to do",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withFile(async (path) => {
      await loadSecret(path);
      await Deno.chmod(path, 0o640);
      await assert.rejects(loadSecret(path), { code: "invalid_config", message: /chmod 600/ });
    });
  },
});

Deno.test("loadSecret() refuses a weak secret that somebody put there", async () => {
  await withFile(async (path) => {
    await loadSecret(path);
    await Deno.writeTextFile(path, "too short");
    await assert.rejects(loadSecret(path), { code: "invalid_config", message: /fewer than 32/ });
  });
});

Deno.test("requireStrongSecret() refuses published examples, short and repeating secrets, and repeats none", () => {
  const weak = [
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "your-256-bit-secret",
    "0123456789abcdef0123456789abcde",
    "abababababababababababababababababab",
  ];
  for (const secret of weak) {
    assert.throws(() => requireStrongSecret(secret, "SUPABASE_JWT_SECRET"), (error: Error) => {
      return error.message.includes("SUPABASE_JWT_SECRET") && !error.message.includes(secret);
    });
  }
  requireStrongSecret("7f0pNw-3kQzLr9sXvB1dYt6mHcEuGa2J", "SUPABASE_JWT_SECRET");
});
