import { DomainError } from "../errors.ts";

/** Bytes that can be read at any position: a file, or a buffer in tests. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Fills the start of `buffer` from `offset` on and returns how many bytes there were; 0 at the end. */
  read(buffer: Uint8Array, offset: number): Promise<number>;
}

/** A byte source over an open file of `sizeBytes`. */
export function openByteSource(file: Deno.FsFile, sizeBytes: number): ByteSource {
  return {
    sizeBytes,
    async read(buffer, offset) {
      await file.seek(offset, Deno.SeekMode.Start);
      return (await file.read(buffer)) ?? 0;
    },
  };
}

/** A file is read in windows of this size: large enough for few reads, small enough to hold many readers. */
const WINDOW_BYTES = 256 * 1024;

/**
 * Walks forward through a byte source, little endian. Nothing is read beyond its end or beyond `limitBytes`, and no
 * more than one window is held, whatever the bytes say.
 */
export class ByteReader {
  readonly #source: ByteSource;
  readonly #limitBytes: number;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  /** Position of the window's first byte in the source. */
  #windowStart = 0;
  #position = 0;

  constructor(source: ByteSource, options: { limitBytes: number }) {
    this.#source = source;
    this.#limitBytes = options.limitBytes;
  }

  /** Bytes from the start of the source to the next unread one. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that are left in the source. */
  get remainingBytes(): number {
    return this.#source.sizeBytes - this.#position;
  }

  /** Whether the next `count` bytes are in the window, so that the read… methods may be called without waiting. */
  holds(count: number): boolean {
    return this.#position >= this.#windowStart &&
      this.#position + count <= this.#windowStart + this.#window.length;
  }

  /**
   * Brings the next `count` bytes (at most a window) within reach of the read… methods.
   *
   * @throws {DomainError} `invalid_model_file` when the source ends before, or the limit is reached.
   */
  async fill(count: number): Promise<void> {
    if (this.holds(count)) return;
    this.#refuseBeyondEnd(count);
    const length = Math.min(Math.max(count, WINDOW_BYTES), this.remainingBytes);
    const window = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const read = await this.#source.read(window.subarray(filled), this.#position + filled);
      if (read === 0) throw endsEarly(); // the file shrank while it was read
      filled += read;
    }
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#windowStart = this.#position;
  }

  /** Passes `count` bytes without reading them; throws as {@linkcode fill} does. */
  skip(count: number): void {
    this.#refuseBeyondEnd(count);
    this.#position += count;
  }

  readUint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  readUint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** An unsigned 64-bit number, or null when it is too large to be exact. */
  readUint64(): number | null {
    const at = this.#advance(8);
    const high = this.#view.getUint32(at + 4, true);
    return high > 0x1f_ffff ? null : high * 2 ** 32 + this.#view.getUint32(at, true);
  }

  /** A view of the next `count` bytes, valid until the next fill. */
  readBytes(count: number): Uint8Array {
    const at = this.#advance(count);
    return this.#window.subarray(at, at + count);
  }

  #advance(count: number): number {
    if (!this.holds(count)) throw new Error("Bytes were read before they were filled");
    const at = this.#position - this.#windowStart;
    this.#position += count;
    return at;
  }

  #refuseBeyondEnd(count: number): void {
    if (count > this.remainingBytes) throw endsEarly();
    if (this.#position + count > this.#limitBytes) {
      throw new DomainError("invalid_model_file", `its header is larger than ${this.#limitBytes} bytes`);
    }
  }
}

function endsEarly(): DomainError {
  return new DomainError("invalid_model_file", "it ends in the middle of its header: it is cut off or damaged");
}
