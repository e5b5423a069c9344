/** Something that was made of a file, kept as long as the file's size and time of change stay the same. */
export class FileCache<Value> {
  readonly #known = new Map<string, { key: string; value: Promise<Value> }>();

  /** The value of the file at `path`, from `load` when the file is new or was touched. */
  get(path: string, { key, load }: { key: string; load: () => Promise<Value> }): Promise<Value> {
    const known = this.#known.get(path);
    if (known?.key === key) return known.value;
    const value = load();
    this.#known.set(path, { key, value });
    return value;
  }

  /** {@linkcode FileCache.get} with the file's own state as the key; null when there is no such file. */
  async getByState(path: string, load: () => Promise<Value>): Promise<Value | null> {
    const info = await Deno.stat(path).catch(() => null);
    if (info !== null) return await this.get(path, { key: `${info.size} ${info.mtime?.getTime()} ${info.ino}`, load });
    this.#known.delete(path);
    return null;
  }
}
