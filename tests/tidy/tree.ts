import type { TextFile } from "./modules.ts";

/** Reads every text file of the project at `root`: what git tracks, and what it would if it were added. */
export async function readTree(root: string): Promise<TextFile[]> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    // The folder may belong to somebody else, as in a container; nothing of its configuration is run here.
    args: ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: root,
  }).output();
  if (!success) throw new Error(`Cannot list the files of ${root}: ${new TextDecoder().decode(stderr)}`);
  const paths = new Set(new TextDecoder().decode(stdout).split("\0").filter((path) => path !== ""));
  const files = await Promise.all([...paths].sort().map((path) => readText(root, path)));
  return files.filter((file) => file !== null);
}

/** The file, or null when it is binary or was deleted without telling git. */
async function readText(root: string, path: string): Promise<TextFile | null> {
  try {
    const bytes = await Deno.readFile(`${root}/${path}`);
    if (bytes.subarray(0, 8192).includes(0)) return null;
    return { path, text: new TextDecoder().decode(bytes) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory) return null;
    throw error;
  }
}
