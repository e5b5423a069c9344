/**
 * Writes a text whole to standard output or standard error. When whoever read it has gone, there is nobody to tell, and
 * that is no reason to stop.
 */
export function printTo(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
