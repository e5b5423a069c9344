/**
 * Words that, put before a command line, tie the process to the one that starts it: the kernel then ends it with its
 * parent, even one that hangs or was stopped and so cannot notice that its input ended. That is util-linux's `setpriv`
 * on Linux; elsewhere, and where it is not permitted or too old, there are none.
 */
export async function findParentTie(): Promise<string[]> {
  const [program, ...args] = ["setpriv", "--pdeathsig", "KILL", "--"] as const;
  try {
    const trial = new Deno.Command(program, { args: [...args, "true"], stdin: "null", stdout: "null", stderr: "null" });
    return (await trial.output()).success ? [program, ...args] : [];
  } catch {
    return [];
  }
}
