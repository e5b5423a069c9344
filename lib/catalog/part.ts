import { z } from "zod";
import { removeAll, sizeOf } from "./disk.ts";

/** What is known of the bytes in a part file, kept beside it so that a pull can go on with the very same bytes. */
const PartRecord = z.strictObject({
  url: z.string(),
  /** A strong ETag or a Last-Modified date, as If-Range takes it. */
  validator: z.string().nullable(),
  totalBytes: z.number().int().nullable(),
  /** SHA-256 that the whole file will have, by the manifest or by the hub. */
  sha256: z.string().nullable(),
});
/** What is known of the bytes in a part file. */
export type PartRecord = z.infer<typeof PartRecord>;

/** A file that is not yet whole: `path` and its record beside it. */
export class PartFile {
  constructor(readonly path: string) {}

  get #recordPath(): string {
    return `${this.path}.json`;
  }

  /** Bytes that are there, 0 when there is no part. */
  async sizeBytes(): Promise<number> {
    return await sizeOf(this.path) ?? 0;
  }

  /** Null when there is none or it cannot be read: the part then cannot be gone on with. */
  async readRecord(): Promise<PartRecord | null> {
    try {
      return PartRecord.parse(JSON.parse(await Deno.readTextFile(this.#recordPath)));
    } catch {
      return null;
    }
  }

  async writeRecord(record: PartRecord): Promise<void> {
    await Deno.writeTextFile(this.#recordPath, JSON.stringify(record));
  }

  /** Forgets the part. */
  async discard(): Promise<void> {
    await removeAll(this.path, this.#recordPath);
  }

  /** Forgets what is known of it; the bytes stay. */
  async discardRecord(): Promise<void> {
    await removeAll(this.#recordPath);
  }
}
