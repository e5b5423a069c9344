import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import type { Inference, InferenceStatus } from "../inference/inference.ts";
import type { ModelList } from "./model_list.ts";

/**
 * Models whose folder is looked at before they are listed and whenever one is named that was not there at the last look,
 * so that a model that was just pulled is served, also by another process.
 */
export class WatchedInference implements Inference {
  constructor(private readonly inference: Inference, private readonly installed: ModelList) {}

  async list(): Promise<ModelDescription[]> {
    await this.installed.refresh();
    return await this.inference.list();
  }

  async describe(model: string): Promise<ModelDescription> {
    await this.#meet(model);
    return await this.inference.describe(model);
  }

  async tokenize(request: { model: string; text: string }): Promise<number[]> {
    await this.#meet(request.model);
    return await this.inference.tokenize(request);
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    await this.#meet(request.model);
    yield* this.inference.chat(request, signal);
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    await this.#meet(request.model);
    return await this.inference.embed(request, signal);
  }

  async keep(request: { model: string; keepAliveMs: number | null }): Promise<void> {
    await this.#meet(request.model);
    await this.inference.keep(request);
  }

  async forget(owner: string): Promise<void> {
    await this.inference.forget(owner);
  }

  async status(): Promise<InferenceStatus> {
    return await this.inference.status();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.inference[Symbol.asyncDispose]();
  }

  async #meet(model: string): Promise<void> {
    if (!this.installed.has(model)) return await this.installed.look();
    // Who names a model that is known does not wait for a look at the others; a change is known to the next request.
    this.installed.refresh().catch(() => {});
  }
}
