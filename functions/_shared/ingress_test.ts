import assert from "node:assert/strict";
import { readSettings } from "../../lib/env.ts";
import { createVisitorReader, type Ingress, LOCAL_INGRESS, toIngress, type Visitor } from "./ingress.ts";

const tcp = (hostname: string): Deno.NetAddr => ({ transport: "tcp", hostname, port: 50_000 });

function read(ingress: Partial<Ingress>, peer: Deno.Addr | undefined, headers: Record<string, string> = {}): Visitor {
  const request = new Request("http://ignored/", { headers: { host: "localhost:8000", ...headers } });
  return createVisitorReader({ ...LOCAL_INGRESS, ...ingress })(request, peer);
}

Deno.test("Who is at this machine is local, and nobody else is", () => {
  for (
    const peer of [tcp("127.0.0.1"), tcp("::1"), tcp("::ffff:127.0.0.1"), { transport: "unix", path: "x" } as const]
  ) {
    assert.equal(read({}, peer).isLocal, true);
  }
  assert.equal(read({}, tcp("192.168.1.5")).isLocal, false);
  assert.equal(read({}, undefined).isLocal, false, "a request that does not come from a socket is nobody's");
  assert.equal(read({ allowLocal: false }, tcp("127.0.0.1")).isLocal, false);
});

Deno.test("A proxy's headers make nobody local, and of a proxy that is not trusted they make nothing else", () => {
  for (const name of ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]) {
    const visitor = read({}, tcp("127.0.0.1"), { [name]: "127.0.0.1" });
    assert.partialDeepStrictEqual(visitor, { isLocal: false, isPrivate: false, address: "127.0.0.1" }, name);
  }
  const forged = { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https" };
  assert.partialDeepStrictEqual(read({ trustedProxies: ["10.0.0.0/8"] }, tcp("192.0.2.1"), forged), {
    address: "192.0.2.1",
    isLocal: false,
    isSecure: false,
    isPrivate: false,
  });
});

Deno.test("Behind trusted proxies the client is the last address that is none of theirs", () => {
  const ingress = { trustedProxies: ["10.0.0.0/8", "::1"] };
  const cases: [peer: string, forwarded: string, address: string][] = [
    ["10.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["10.0.0.1", "127.0.0.1, 203.0.113.7", "203.0.113.7"],
    ["10.0.0.1", "203.0.113.7, 10.9.9.9", "203.0.113.7"],
    ["::1", "2001:db8::7", "2001:db8::7"],
    ["::1", "[2001:db8::7]:4711", "2001:db8::7"],
    ["::ffff:10.0.0.1", "203.0.113.7:4711", "203.0.113.7"],
    ["10.0.0.1", "10.0.0.2", "10.0.0.1"],
    ["10.0.0.1", "", "10.0.0.1"],
    ["203.0.113.9", "203.0.113.7", "203.0.113.9"],
  ];
  for (const [peer, forwarded, address] of cases) {
    assert.equal(read(ingress, tcp(peer), { "x-forwarded-for": forwarded }).address, address, `${peer} ${forwarded}`);
  }
});

Deno.test("What is private is TLS, by Rookery or a trusted proxy, this machine, or what the operator allows", () => {
  const far = tcp("203.0.113.9");
  const proxied: Partial<Ingress> = { trustedProxies: ["10.0.0.1"], publicUrl: "https://rookery.example" };
  assert.partialDeepStrictEqual(read({}, far), { isSecure: false, isPrivate: false });
  assert.partialDeepStrictEqual(read({ tls: true }, far), { isSecure: true, isPrivate: true });
  assert.partialDeepStrictEqual(read({ allowHttp: true }, far), { isSecure: false, isPrivate: true });
  assert.partialDeepStrictEqual(read({}, tcp("127.0.0.1")), { isSecure: false, isPrivate: true });
  const https = { "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };
  assert.partialDeepStrictEqual(read(proxied, tcp("10.0.0.1"), https), { isSecure: true, isPrivate: true });
  assert.partialDeepStrictEqual(read(proxied, tcp("10.0.0.1"), { ...https, "x-forwarded-proto": "http" }), {
    isSecure: false,
    isPrivate: false,
  });
  assert.equal(read(proxied, tcp("10.0.0.1")).isSecure, true, "the operator's word for a proxy that says nothing");
});

Deno.test("The origin is what the client has in its address bar", () => {
  const publicUrl = "https://rookery.example";
  const behind = { trustedProxies: ["10.0.0.1"], publicUrl };
  assert.equal(read({}, tcp("127.0.0.1")).origin, "http://localhost:8000");
  assert.equal(read({ tls: true }, tcp("127.0.0.1"), { host: "Rookery.LAN:8443" }).origin, "https://rookery.lan:8443");
  assert.equal(read(behind, tcp("10.0.0.1"), { host: "127.0.0.1:8000" }).origin, publicUrl);
  assert.equal(read(behind, tcp("127.0.0.1")).origin, "http://localhost:8000");
  assert.equal(read({ publicUrl }, tcp("127.0.0.1"), { host: "rookery.example" }).origin, publicUrl);
});

Deno.test("toIngress() lets who sits at the machine in without an account as long as nobody else is let in", () => {
  const isAllowed = (env: Record<string, string>) => toIngress(readSettings(env)).allowLocal;
  assert.equal(isAllowed({}), true);
  assert.equal(isAllowed({ PUBLIC_URL: "http://localhost:8000" }), true);
  assert.equal(isAllowed({ PUBLIC_URL: "https://rookery.example" }), false);
  assert.equal(isAllowed({ TRUSTED_PROXIES: "127.0.0.1" }), false);
  assert.equal(isAllowed({ HOST: "0.0.0.0", ROOKERY_ALLOW_HTTP: "on" }), false);
  assert.equal(isAllowed({ HOST: "0.0.0.0", ROOKERY_ALLOW_HTTP: "on", ROOKERY_LOCAL_ACCESS: "on" }), true);
  assert.equal(isAllowed({ ROOKERY_LOCAL_ACCESS: "off" }), false);
});
