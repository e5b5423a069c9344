import assert from "node:assert/strict";
import { isLoopback, readSettings, renderSettings, SETTINGS } from "./env.ts";
import { DomainError } from "./errors.ts";

function refusal(env: Record<string, string>): string {
  try {
    readSettings(env);
  } catch (error) {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "invalid_config");
    return error.message;
  }
  assert.fail("the settings were accepted");
}

Deno.test("readSettings() takes the defaults from an empty environment", () => {
  assert.deepEqual(readSettings({}), {
    host: "127.0.0.1",
    port: 8000,
    dataDir: "./data",
    databaseUrl: null,
    modelId: "smollm2-135m",
    apiKey: null,
    memoryBytes: null,
    kvBytes: 4e9,
    keepAliveMs: 300_000,
    contextTokens: null,
    sequences: null,
    queuedMax: 64,
    gpu: false,
    workers: 1,
    remotes: [],
    remoteKeys: new Map(),
    publicUrl: null,
    trustedProxies: [],
    tlsCert: null,
    tlsKey: null,
    allowHttp: false,
    localAccess: null,
    smtpUrl: null,
    smtpFrom: null,
    githubClientId: null,
    githubClientSecret: null,
    appleClientId: null,
    appleTeamId: null,
    appleKeyId: null,
    appleKeyFile: null,
    supabaseJwtSecret: null,
    supabaseJwksUrl: null,
    allowedHosts: [],
    allowedOrigins: [],
    logLevel: "info",
    logFile: null,
    hfEndpoint: "https://huggingface.co",
    hfToken: null,
    httpsProxy: null,
  });
});

Deno.test("readSettings() counts an empty or blank variable as unset", () => {
  assert.deepEqual(readSettings({ PORT: "", ROOKERY_API_KEY: "  ", ROOKERY_CONTEXT: "" }), readSettings({}));
});

Deno.test("readSettings() reads every kind of value", () => {
  const settings = readSettings({
    HOST: "0.0.0.0",
    PORT: " 0 ",
    ROOKERY_API_KEY: "sixteen-and-more",
    ROOKERY_CONTEXT: "4096",
    ROOKERY_GPU: "auto",
    ROOKERY_ALLOWED_HOSTS: "rookery.lan, 192.168.1.20:8000,",
    ROOKERY_ALLOWED_ORIGINS: "https://chat.example.org,vscode-file://vscode-app",
    HF_ENDPOINT: "https://mirror.example.org/",
  });
  assert.equal(settings.port, 0);
  assert.equal(settings.contextTokens, 4096);
  assert.equal(settings.gpu, true);
  assert.deepEqual(settings.allowedHosts, ["rookery.lan", "192.168.1.20:8000"]);
  assert.deepEqual(settings.allowedOrigins, ["https://chat.example.org", "vscode-file://vscode-app"]);
  assert.equal(settings.hfEndpoint, "https://mirror.example.org");
});

Deno.test("readSettings() takes memory in gigabytes or bytes, and durations with a unit", () => {
  const memory = (text: string) => readSettings({ ROOKERY_MEMORY: text }).memoryBytes;
  assert.deepEqual(["12", "7.5", "0.1", "7500000000"].map(memory), [12e9, 7.5e9, 1e8, 7.5e9]);
  for (const text of ["0", "0.05", "-1", "12GB", "many"]) {
    assert.match(refusal({ ROOKERY_MEMORY: text }), /^ROOKERY_MEMORY must be gigabytes such as 12 or 7\.5/);
  }
  assert.deepEqual(["0", "0.5"].map((text) => readSettings({ ROOKERY_KV_DISK: text }).kvBytes), [0, 5e8]);
  const keepAlive = (text: string) => readSettings({ ROOKERY_KEEP_ALIVE: text }).keepAliveMs;
  assert.deepEqual(["90s", "5m", "2h", "0", "-1"].map(keepAlive), [90_000, 300_000, 7_200_000, 0, -1]);
  for (const text of ["5", "-5m", "1d", "1.5h"]) {
    assert.match(refusal({ ROOKERY_KEEP_ALIVE: text }), /^ROOKERY_KEEP_ALIVE must be a duration such as 90s/);
  }
});

Deno.test("readSettings() names a wrong value and what would be right", () => {
  assert.equal(refusal({ PORT: "abc" }), 'PORT must be a whole number from 0 to 65535; it is "abc"');
  assert.equal(refusal({ PORT: "65536" }), 'PORT must be a whole number from 0 to 65535; it is "65536"');
  assert.equal(refusal({ ROOKERY_QUEUE: "-1" }), 'ROOKERY_QUEUE must be a whole number from 0 to 10000; it is "-1"');
  assert.equal(refusal({ ROOKERY_GPU: "yes" }), 'ROOKERY_GPU must be "off" or "auto"; it is "yes"');
  assert.equal(
    refusal({ HOST: "http://me" }),
    'HOST must be an IP address or a host name of this machine, such as 127.0.0.1 or 0.0.0.0; it is "http://me"',
  );
  assert.match(refusal({ ROOKERY_MODEL: "../secret" }), /^ROOKERY_MODEL must be the id of a model/);
  assert.match(refusal({ ROOKERY_ALLOWED_ORIGINS: "chat.example.org" }), /such as https:\/\/chat\.example\.org/);
});

Deno.test("readSettings() never repeats a secret", () => {
  const message = refusal({ ROOKERY_API_KEY: "hunter2" });
  assert.match(message, /^ROOKERY_API_KEY must be at least 16 letters, digits and signs without spaces/);
  assert.ok(!message.includes("hunter2"));
});

Deno.test("readSettings() takes a Postgres with a user, and repeats nothing of an address that is none", () => {
  const DATABASE_URL = "postgresql://owner:secret%2Fpassword@db.lan:6543/postgres?sslmode=require";
  assert.equal(readSettings({ DATABASE_URL }).databaseUrl, DATABASE_URL);
  for (const wrong of ["mysql://owner:secret@db.lan/x", "postgres://db.lan/secret", "postgres:secret", "secret"]) {
    const message = refusal({ DATABASE_URL: wrong });
    assert.match(message, /^DATABASE_URL must be an address that begins with postgres:\/\//);
    assert.doesNotMatch(message, /secret/);
  }
});

Deno.test("readSettings() answers an unknown ROOKERY_ name with the nearest there is", () => {
  assert.equal(refusal({ ROOKERY_MODLE: "x" }), "Unknown setting ROOKERY_MODLE; did you mean ROOKERY_MODEL?");
  assert.equal(refusal({ ROOKERY_DATA_DIR: "x" }), "Unknown setting ROOKERY_DATA_DIR; did you mean ROOKERY_DATA?");
  assert.doesNotThrow(() => readSettings({ ROOKERY_TEST_MODELS: "/somewhere", PATH: "/bin" }));
});

Deno.test("readSettings() refuses an address that others can reach without a key and without privacy", () => {
  const proxy = { PUBLIC_URL: "https://rookery.example.org", TRUSTED_PROXIES: "10.0.0.1" };
  for (const HOST of ["0.0.0.0", "::", "192.168.1.20", "rookery.lan"]) {
    assert.match(refusal({ HOST }), /set ROOKERY_API_KEY to .* set HOST to 127\.0\.0\.1$/);
    assert.match(refusal({ HOST, ...proxy, PUBLIC_URL: "http://rookery.example.org" }), /TLS_CERT/);
    assert.match(refusal({ HOST, PUBLIC_URL: proxy.PUBLIC_URL }), /TRUSTED_PROXIES/);
    const ways = [{ ROOKERY_API_KEY: "0123456789abcdef" }, { TLS_CERT: "c", TLS_KEY: "k" }, proxy];
    for (const way of [...ways, { ROOKERY_ALLOW_HTTP: "on" }]) {
      assert.doesNotThrow(() => readSettings({ HOST, ...way }));
    }
  }
  for (const HOST of ["localhost", "127.0.0.1", "127.9.9.9", "::1"]) {
    assert.doesNotThrow(() => readSettings({ HOST }));
  }
});

Deno.test("readSettings() takes an address of people as its origin, and proxies as addresses and networks", () => {
  const settings = readSettings({ PUBLIC_URL: "https://Rookery.example.org:443/", TRUSTED_PROXIES: "::1, 10.0.0.0/8" });
  assert.equal(settings.publicUrl, "https://rookery.example.org");
  assert.deepEqual(settings.trustedProxies, ["::1", "10.0.0.0/8"]);
  assert.match(refusal({ PUBLIC_URL: "https://example.org/rookery" }), /without a path/);
  assert.match(refusal({ TRUSTED_PROXIES: "proxy.lan" }), /IP addresses and networks/);
  assert.match(refusal({ TRUSTED_PROXIES: "10.0.0.0/33" }), /IP addresses and networks/);
});

Deno.test("readSettings() says what is missing of settings that mean something together alone", () => {
  assert.match(refusal({ TLS_CERT: "cert.pem" }), /^TLS_CERT is set, but not TLS_KEY; they need each other$/);
  assert.match(refusal({ GITHUB_CLIENT_SECRET: "shh" }), /GITHUB_CLIENT_SECRET is set, but not GITHUB_CLIENT_ID/);
  const apple = { APPLE_CLIENT_ID: "org.x", APPLE_TEAM_ID: "T", APPLE_KEY_ID: "K", APPLE_KEY_FILE: "k.p8" };
  assert.match(refusal({ ...apple, APPLE_KEY_ID: "" }), /but not APPLE_KEY_ID/);
  assert.match(refusal({ ...apple, PUBLIC_URL: "http://rookery.lan" }), /but not PUBLIC_URL, an https address/);
  const mail = { SMTP_URL: "smtps://user:secret@mail.example.org", SMTP_FROM: "Rookery <rookery@example.org>" };
  assert.match(refusal(mail), /SMTP_URL is set, but not PUBLIC_URL/);
  assert.doesNotThrow(() => readSettings({ ...mail, ...apple, PUBLIC_URL: "https://rookery.example.org" }));
  assert.doesNotMatch(refusal({ SMTP_URL: "https://user:secret@mail.example.org" }), /secret/);
});

Deno.test("isLoopback() is not fooled by names that begin like loopback", () => {
  assert.equal(isLoopback("127.0.0.1.example.org"), false);
  assert.equal(isLoopback("127.example.org"), false);
  assert.equal(isLoopback("::ffff:127.0.0.1"), true);
  assert.equal(isLoopback("::ffff:10.0.0.1"), false);
});

Deno.test("renderSettings() has one row a setting", () => {
  const lines = renderSettings().trimEnd().split("\n");
  assert.equal(lines.length, Object.keys(SETTINGS).length + 2);
  assert.ok(lines.some((line) => line.startsWith("| `PORT` | `8000` | ")));
});

Deno.test("readSettings() reads other servers and the keys for them", () => {
  const { remotes, remoteKeys } = readSettings({
    ROOKERY_REMOTES: "gpu=http://10.0.0.5:8080/v1, desk-2=https://desk.lan ,v6=http://[fd00::1]:8000",
    ROOKERY_REMOTE_KEYS: "gpu=a=b==",
  });
  assert.deepEqual(remotes, [
    { name: "gpu", url: "http://10.0.0.5:8080/v1" },
    { name: "desk-2", url: "https://desk.lan" },
    { name: "v6", url: "http://[fd00::1]:8000" },
  ]);
  assert.deepEqual([...remoteKeys], [["gpu", "a=b=="]]);
});

Deno.test("readSettings() refuses servers that are written wrongly, and repeats no key", () => {
  const wrong = ["gpu", "http://10.0.0.5", "gpu=", "gpu=10.0.0.5:80", "gpu=ftp://x", "a/b=http://x", "=http://x"];
  const worse = ["gpu=http://me:pass@x", "gpu=http://x?key=1", "gpu=http://x#y", "gpu=http://x,gpu=http://y"];
  for (const ROOKERY_REMOTES of [...wrong, ...worse]) {
    assert.match(refusal({ ROOKERY_REMOTES }), /^ROOKERY_REMOTES must be names .*gpu=http:/, ROOKERY_REMOTES);
  }
  for (const url of ["http://me:hunter2@x", "http://hunter2@x/", "http://me:hunter2/@x", "http://x?key=hunter2"]) {
    const text = refusal({ ROOKERY_REMOTES: `desk=http://y,gpu=${url}` });
    assert.ok(text.includes('it is "desk=http://') && !text.includes("hunter2"), text);
  }
  const lost = refusal({ ROOKERY_REMOTES: "gpu=http://x", ROOKERY_REMOTE_KEYS: "cpu=hunter2" });
  assert.match(lost, /"cpu", which ROOKERY_REMOTES does not name/);
  for (const text of [lost, refusal({ ROOKERY_REMOTE_KEYS: "hunter2" })]) assert.ok(!text.includes("hunter2"));
});
