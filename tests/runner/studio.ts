/**
 * Fetches the back end of Supabase's Studio for the tests, by npm and into a folder of its own: it is 192 packages and
 * 210 MB that nothing else here needs, too much for everybody's `deno.lock`.
 */

const NAME = "@supabase/postgres-meta";
const VERSION = "0.99.0";

/** Nothing is written but `node_modules` of the folder, no package runs anything, and npm speaks of failures alone. */
const QUIETLY = ["--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];

/**
 * Puts Studio's back end into `<folder>/node_modules`, once.
 *
 * @throws {Error} with npm's own sentence when it cannot be had.
 */
export async function provideStudio(folder: string): Promise<void> {
  if (await readVersion(folder) === VERSION) return;
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir({ dir: folder });
  try {
    await runNpm("install", ...QUIETLY, "--logs-max=0", "--prefix", work, `${NAME}@${VERSION}`);
    const target = `${folder}/node_modules`;
    if (await readVersion(folder) !== null) await Deno.remove(target, { recursive: true });
    await Deno.rename(`${work}/node_modules`, target);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The version that is there; null when none is. */
async function readVersion(folder: string): Promise<string | null> {
  try {
    return JSON.parse(await Deno.readTextFile(`${folder}/node_modules/${NAME}/package.json`)).version;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function runNpm(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("npm", { args, stdin: "null", stdout: "null" }).output();
  if (success) return;
  const lines = new TextDecoder().decode(stderr).split("\n").map((line) => line.replace(/^npm (error|ERR!) ?/, ""));
  // Codes come first, then the sentence, then where in npm's own code it was and what one might try.
  throw new Error(lines.find((line) => line !== "" && !/^(code|syscall|errno) /.test(line))?.trim() ?? "npm failed");
}
