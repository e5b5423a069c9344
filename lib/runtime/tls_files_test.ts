import assert from "node:assert/strict";
import { makeCertificate } from "../../tests/fixtures/certificate.ts";
import { readTlsFiles } from "./tls_files.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readTlsFiles() reads certificate and key, and needs neither", () =>
  inFolder(async (folder) => {
    assert.equal(await readTlsFiles({ tlsCert: null, tlsKey: null }), null);
    const { cert, key } = makeCertificate();
    const [tlsCert, tlsKey] = [`${folder}/cert.pem`, `${folder}/key.pem`];
    await Deno.writeTextFile(tlsCert, cert);
    await Deno.writeTextFile(tlsKey, key);
    assert.deepEqual(await readTlsFiles({ tlsCert, tlsKey }), { cert, key });
  }));

Deno.test("readTlsFiles() names the setting and the file that cannot be used", () =>
  inFolder(async (folder) => {
    const { cert, key } = makeCertificate();
    const [tlsCert, tlsKey, none] = [`${folder}/cert.pem`, `${folder}/key.pem`, `${folder}/none.pem`];
    await Deno.writeTextFile(tlsCert, cert);
    await Deno.writeTextFile(tlsKey, key);
    const wrong: [{ tlsCert: string; tlsKey: string }, string, RegExp][] = [
      [{ tlsCert: none, tlsKey }, "TLS_CERT", /^Cannot read TLS_CERT, .*none\.pem: /],
      [{ tlsCert, tlsKey: none }, "TLS_KEY", /^Cannot read TLS_KEY, .*none\.pem: /],
      [{ tlsCert, tlsKey: folder }, "TLS_KEY", /^Cannot read TLS_KEY, .*: /],
      [{ tlsCert: tlsKey, tlsKey }, "TLS_CERT", /^TLS_CERT, .*key\.pem, holds no certificate in PEM form$/],
      [{ tlsCert, tlsKey: tlsCert }, "TLS_KEY", /^TLS_KEY, .*cert\.pem, holds no private key in PEM form$/],
    ];
    for (const [settings, param, message] of wrong) {
      const refusal = await readTlsFiles(settings).then(() => null, (error) => error);
      assert.equal(refusal?.code, "invalid_config");
      assert.deepEqual(refusal.param, param);
      assert.match(refusal.message, message);
    }
  }));
