import { getLlama, type Llama, LlamaLogLevel } from "node-llama-cpp";

/** How llama.cpp is opened. */
export interface LlamaBackendOptions {
  /** Uses a GPU when the installed build can. */
  gpu: boolean;
  /** A line of llama.cpp's that is a warning or worse. */
  onLog?: (line: string) => void;
  /** llama.cpp is loaded; nothing needs to be started as a process any more. */
  onOpened?: () => void;
}

/**
 * llama.cpp as it is loaded in this process, once for all models: disposing of it ends it for every one of them. It is
 * opened when it is first asked for.
 */
export class LlamaBackend implements AsyncDisposable {
  readonly #options: LlamaBackendOptions;
  #llama: Promise<Llama> | null = null;

  constructor(options: LlamaBackendOptions) {
    this.#options = options;
  }

  /** @throws {Error} when the library cannot be loaded on this machine. */
  open(): Promise<Llama> {
    this.#llama ??= this.#open();
    return this.#llama;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const llama = await this.#llama?.catch(() => null);
    await llama?.dispose();
  }

  async #open(): Promise<Llama> {
    const { gpu, onLog, onOpened } = this.#options;
    const llama = await getLlama({
      gpu: gpu ? "auto" : false,
      build: "never",
      progressLogs: false,
      logLevel: LlamaLogLevel.warn,
      logger: (level, line) => {
        if (level !== LlamaLogLevel.disabled) onLog?.(line.trimEnd());
      },
    });
    onOpened?.();
    return llama;
  }
}
