import { DomainError } from "../../errors.ts";
import type { NativeCalls, NativeRequest, NativeResponse } from "./protocol.ts";

type Name = keyof NativeCalls;

/** The other side of `llama_thread.ts`: calls what stands there, one after another, in the order of the calls. */
export class NativeThread implements AsyncDisposable {
  readonly #worker = new Worker(new URL("./llama_thread.ts", import.meta.url), { type: "module", name: "llama" });
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;
  #broken: Error | null = null;

  /** @param onBroken Told once when the thread dies by itself. What it held in native memory is never freed then. */
  constructor(onBroken: (error: Error) => void = () => {}) {
    this.#worker.onmessage = ({ data }: MessageEvent<NativeResponse>) => this.#settle(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      if (this.#broken !== null) return;
      const error = new Error(`The thread that computes failed: ${event.message}`);
      this.#break(error);
      onBroken(error);
    };
  }

  /**
   * Calls the thread. Bytes that are passed are moved, not copied: whoever passes them has them no longer.
   *
   * @throws {Error} what was thrown there: its message, and its code when it was a {@linkcode DomainError}.
   */
  async call<Called extends Name>(
    name: Called,
    options: Parameters<NativeCalls[Called]>[0],
  ): Promise<ReturnType<NativeCalls[Called]>> {
    if (this.#broken !== null) throw this.#broken;
    const id = ++this.#calls;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    const moved = options !== undefined && "bytes" in options ? [options.bytes.buffer] : [];
    this.#worker.postMessage({ id, name, options } as NativeRequest, moved);
    return await answer.promise as ReturnType<NativeCalls[Called]>;
  }

  /** Frees the model after the calls that are under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.call("unload", undefined).catch(() => {});
    this.#worker.terminate();
    this.#break(new Error("The thread that computes was ended"));
  }

  #settle(response: NativeResponse): void {
    const answer = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (!("error" in response)) return answer?.resolve(response.result);
    const { error, code } = response;
    answer?.reject(code === null ? new Error(error) : new DomainError(code, error));
  }

  #break(error: Error): void {
    this.#broken = error;
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
  }
}
