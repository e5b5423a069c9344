const GGUF_PACKAGE = "gguf==0.19.0";

/**
 * Makes the 3B-shaped model with random weights below `folder`, once; returns its path. A Python environment with
 * PyPI's `gguf` is made beside it.
 */
export async function provideRandomModel(tokenizerPath: string, folder: string): Promise<string> {
  const path = `${folder}/random-3b.gguf`;
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  const python = `${folder}/python`;
  const interpreter = `${python}/bin/python`;
  const script = new URL("./random_model.py", import.meta.url).pathname;
  await Deno.mkdir(folder, { recursive: true });
  await run("python3", ["-m", "venv", python]);
  await run(interpreter, ["-m", "pip", "install", "--quiet", GGUF_PACKAGE]);
  await run(interpreter, [script, tokenizerPath, path]);
  return path;
}

async function run(command: string, args: string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args, stdin: "null", stdout: "null" }).output();
  if (!success) throw new Error(`Cannot make the random model: ${command} ${args.join(" ")} fails`);
}
