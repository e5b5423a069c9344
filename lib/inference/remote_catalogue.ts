import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { notSpokenError, type RemotePlace } from "./remote_errors.ts";
import type { RemoteClock, RemoteHttp, RemoteRequest } from "./remote_http.ts";
import { readRemoteModels, type RemoteModel } from "./remote_models.ts";
import { unknownModelError } from "./unknown_model.ts";

/** Age at which the list is asked for again, in the background, in milliseconds. */
const FRESH_MS = 15_000;

/** How long a server that was heard is believed to be there without asking, in milliseconds. */
const HEARD_MS = 10_000;

/** How long the very first list is waited for, in milliseconds: other servers' models must not wait for a dead one. */
const FIRST_LIST_MS = 1_000;

/** First and longest pause between background questions to a server that does not answer, in milliseconds. */
const BACK_OFF_MS = 1_000;
const BACK_OFF_MS_MAX = 60_000;

/** What a {@linkcode RemoteCatalogue} needs. */
export interface RemoteCatalogueOptions {
  http: RemoteHttp;
  clock: RemoteClock;
  log: Logger;
}

/**
 * Which models a server has, and whether it can be reached. It remembers what it saw last: a server that went away still
 * has its models in the list, and questions to it say that it does not answer. It asks when somebody wants to know,
 * never by itself: in the background when what it knows is old, doubling the pause after each failure, with chance, so
 * that many Rookeries do not come back at once; and at once when a request needs an answer.
 */
export class RemoteCatalogue implements Disposable {
  readonly #place: RemotePlace;
  readonly #options: RemoteCatalogueOptions;
  readonly #closing = new AbortController();
  #models: RemoteModel[] | null = null;
  #failure: DomainError | null = null;
  #failures = 0;
  #readAtMs = -Infinity;
  #heardAtMs = -Infinity;
  #nextAtMs = -Infinity;
  #reading: Promise<void> | null = null;

  constructor(place: RemotePlace, options: RemoteCatalogueOptions) {
    this.#place = place;
    this.#options = options;
  }

  /** What the last contact came to; asks again in the background when that was long ago. */
  get state(): "loading" | "ready" | "gone" {
    this.#refreshIfOld();
    if (this.#failure !== null) return "gone";
    return this.#models === null ? "loading" : "ready";
  }

  /** The models that were seen last. Never slow: waits a moment for the first list and not at all for later ones. */
  async list(): Promise<ModelDescription[]> {
    this.#refreshIfOld();
    if (this.#models === null && this.#failure === null && this.#reading !== null) {
      using moment = new Moment(FIRST_LIST_MS);
      await Promise.race([this.#reading, moment.over]);
    }
    return (this.#models ?? []).map(({ description }) => description);
  }

  /**
   * The model that is called `id` here, with or without a tag `:latest`. Resolves when the server was heard just now.
   *
   * @throws {DomainError} `model_not_found`; `engine_unavailable` when the server does not answer, or why it refuses.
   */
  async find(id: string, signal: AbortSignal): Promise<RemoteModel> {
    const known = this.#look(id);
    if (known !== null && this.#failure === null && this.#options.clock.nowMs() - this.#heardAtMs < HEARD_MS) {
      return known;
    }
    using cancelled = new Cancellation(signal);
    await Promise.race([this.#read(), cancelled.happened]);
    if (signal.aborted) throw new DomainError("request_cancelled", "The request was cancelled");
    if (this.#failure !== null) throw this.#failure;
    const found = this.#look(id);
    if (found === null) throw unknownModelError(id, (this.#models ?? []).map(({ description }) => description.id));
    return found;
  }

  /** Takes notice of how a request went that was not the catalogue's own. */
  note(error: DomainError | null): void {
    if (error === null) this.#heardAtMs = this.#options.clock.nowMs();
    // The server has to be asked before it is believed to be there again, or still to have the same models.
    else this.#heardAtMs = -Infinity;
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
  }

  #look(id: string): RemoteModel | null {
    const find = (wanted: string) => this.#models?.find(({ description }) => description.id === wanted);
    return find(id) ?? find(`${id}:latest`) ?? null;
  }

  #refreshIfOld(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#readAtMs < FRESH_MS || nowMs < this.#nextAtMs) return;
    this.#read();
  }

  /** Asks for the list; whoever wants it meanwhile waits for the same answer. Never rejects. */
  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => this.#reading = null);
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    const { http, clock } = this.#options;
    const ask = (path: string, body?: object) => {
      const request: RemoteRequest = { path, signal: this.#closing.signal };
      return http.ask(body === undefined ? request : { ...request, body });
    };
    try {
      // A server that was away may have come back with other settings.
      const known = this.#failure === null ? this.#models ?? [] : [];
      const models = await readRemoteModels({ name: this.#place.name, ask }, known);
      if (this.#failure !== null) this.#options.log.info("remote_back", { remote: this.#place.name });
      this.#models = models;
      this.#failure = null;
      this.#failures = 0;
      this.#readAtMs = this.#heardAtMs = clock.nowMs();
    } catch (error) {
      const refused = !(error instanceof DomainError) || error.code === "invalid_request";
      this.#fail(refused ? notSpokenError(this.#place, error) : error);
    }
  }

  #fail(error: DomainError): void {
    if (this.#closing.signal.aborted) return;
    const { clock, log } = this.#options;
    if (this.#failure?.code !== error.code) log.warn("remote_failed", { remote: this.#place.name, error });
    const pauseMs = Math.min(BACK_OFF_MS * 2 ** this.#failures, BACK_OFF_MS_MAX);
    this.#failure = error;
    this.#failures++;
    this.#nextAtMs = clock.nowMs() + pauseMs * (0.5 + clock.random());
  }
}

/** A wait that can be given up. */
class Moment implements Disposable {
  readonly over: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    this.over = new Promise((resolve) => this.#timer = setTimeout(resolve, ms));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** An abort as a promise that leaves no listener behind. */
class Cancellation implements Disposable {
  readonly happened: Promise<void>;
  readonly #signal: AbortSignal;
  #resolve: () => void = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.happened = new Promise((resolve) => this.#resolve = resolve);
    signal.addEventListener("abort", this.#resolve);
    if (signal.aborted) this.#resolve();
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#resolve);
  }
}
