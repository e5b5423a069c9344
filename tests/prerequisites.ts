/**
 * What a test may need and a machine may lack, such as a model. `deno task test` fetches models and servers; where that
 * was not possible the tests are skipped with the reason, except in continuous integration (`CI=true`), where what is
 * missing is a failure: a green run there has left nothing out.
 */

/** Either the thing that a test needs, or a sentence that says why it is not there. */
export type Prerequisite<Value> = { found: Value } | { missing: string };

/**
 * Registers tests that need `prerequisite`. Without it one test called `title` takes their place: ignored with the
 * reason in its name, or failing with it when `CI=true`.
 */
export function skipUnless<Value>(
  prerequisite: Prerequisite<Value>,
  title: string,
  register: (found: Value) => void,
): void {
  if ("found" in prerequisite) return register(prerequisite.found);
  const { missing } = prerequisite;
  if (isContinuousIntegration()) {
    Deno.test(title, () => {
      throw new Error(`${missing}; in CI nothing may be skipped`);
    });
  } else {
    Deno.test({ name: `${title} (skipped: ${missing})`, ignore: true, fn: () => {} });
  }
}

/** The path of `<id>.gguf`, or of the folder `<id>`, in `ROOKERY_TEST_MODELS`, which `deno task test` sets. */
export function testModel(id: string): Prerequisite<string> {
  const folder = (Deno.env.get("ROOKERY_TEST_MODELS") ?? "").replace(/\/$/, "");
  if (folder === "") return { missing: "ROOKERY_TEST_MODELS is not set, run `deno task test`" };
  if (exists(`${folder}/${id}.gguf`)) return { found: `${folder}/${id}.gguf` };
  if (exists(`${folder}/${id}/config.json`)) return { found: `${folder}/${id}` };
  return { missing: `there is no ${id}.gguf and no ${id} in ROOKERY_TEST_MODELS` };
}

/** The folder of a Postgres server of that major version in `ROOKERY_TEST_POSTGRES`, which `deno task test` sets. */
export function testPostgres(version: "16" | "18"): Prerequisite<string> {
  const folder = (Deno.env.get("ROOKERY_TEST_POSTGRES") ?? "").replace(/\/$/, "");
  if (folder === "") return { missing: "ROOKERY_TEST_POSTGRES is not set, run `deno task test`" };
  if (exists(`${folder}/${version}/bin/postgres`)) return { found: `${folder}/${version}` };
  return { missing: `there is no Postgres ${version} in ROOKERY_TEST_POSTGRES` };
}

/** The program of Studio's back end in `ROOKERY_TEST_STUDIO`, which `deno task test` sets; Node runs it. */
export function testStudio(): Prerequisite<string> {
  const folder = (Deno.env.get("ROOKERY_TEST_STUDIO") ?? "").replace(/\/$/, "");
  if (folder === "") return { missing: "ROOKERY_TEST_STUDIO is not set, run `deno task test`" };
  const program = `${folder}/node_modules/@supabase/postgres-meta/dist/server/server.js`;
  if (exists(program)) return { found: program };
  return { missing: "there is no @supabase/postgres-meta in ROOKERY_TEST_STUDIO" };
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether `CI` says that this run decides about a change. */
export function isContinuousIntegration(): boolean {
  return Deno.env.get("CI") === "true";
}
