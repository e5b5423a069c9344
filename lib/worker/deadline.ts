/** Waits for `work`, but no longer than `limitMs`; says whether it was done. Never throws for it. */
export async function withDeadline(work: PromiseLike<unknown>, limitMs: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), limitMs));
  const done = work.then(() => true, () => true);
  const inTime = await Promise.race([done, deadline]);
  clearTimeout(timer);
  return inTime;
}
