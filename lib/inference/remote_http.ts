import { readEventStream } from "../client/event_stream.ts";
import { DomainError } from "../errors.ts";
import {
  brokenError,
  explainRefusal,
  nameOf,
  notSpokenError,
  type RemotePlace,
  unreachableError,
} from "./remote_errors.ts";

/** Where another server is, and how Rookery is let in. */
export interface RemoteAddress extends RemotePlace {
  /** Sent as `Authorization: Bearer …`; null sends none. */
  apiKey: string | null;
}

/** Time and chance, for tests to take into their own hands. */
export interface RemoteClock {
  /** Milliseconds that never run backwards. */
  nowMs(): number;
  /** From 0 to below 1. */
  random(): number;
  /** Resolves after `ms`; rejects with the signal's reason when that aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** How long each thing may take, in milliseconds. */
export interface RemoteTimeouts {
  /** Short questions, such as which models there are; they tell whether the server can be reached at all. Default 5 s. */
  shortMs: number;
  /** Until an answer's first byte: some servers send nothing before they have read the whole prompt. Default 10 min. */
  firstByteMs: number;
  /** Between two bytes of an answer, heartbeats included. Default 2 min. */
  idleMs: number;
}

/** What a {@linkcode RemoteHttp} may be given. */
export interface RemoteHttpOptions {
  fetch: typeof fetch;
  clock: RemoteClock;
  timeouts: RemoteTimeouts;
}

/** One request. Without a body it is a GET. */
export interface RemoteRequest {
  path: string;
  body?: object;
  signal: AbortSignal;
}

/** A server's answer as it comes. Disposing of it closes the connection. */
export interface RemoteStream extends Disposable {
  /** The data of each event. */
  messages: AsyncGenerator<string, void, void>;
}

/** Most bytes of a response that is read whole: 2,048 vectors of 4,096 numbers as decimal text, and room. */
const RESPONSE_BYTES_MAX = 256 * 1024 * 1024;

/** Longest wait that a busy server may ask for; after a longer one the client had better come again itself. */
const RETRY_AFTER_MS_MAX = 2_000;

/** Wait before a second attempt when the server does not say how long, with up to as much again by chance. */
const RETRY_MS = 250;

/** The request may never have arrived: nothing came back. */
class LostConnection extends Error {}

/**
 * Speaks HTTP with one server whose address the operator has set. Redirects are refused, not followed, so that the key
 * and the prompts go nowhere else ({@linkcode listDirectHosts} keeps them from a proxy, too). A request is sent again once when its connection was
 * lost before anything came back, on 502 and 503, and on 429 when the server says when to come again.
 *
 * Every method throws `request_cancelled` when its signal aborts, `engine_unavailable` when the server does not answer,
 * `engine_gone` when it breaks off, `prefill_timeout` when an answer does not begin, and what the server refuses.
 */
export class RemoteHttp implements Disposable {
  readonly #address: RemoteAddress;
  readonly #options: RemoteHttpOptions;
  readonly #client: Deno.HttpClient;

  constructor(address: RemoteAddress, options: RemoteHttpOptions) {
    this.#address = address;
    this.#options = options;
    this.#client = Deno.createHttpClient({});
  }

  /** Asks something that is answered soon. */
  async ask(request: RemoteRequest): Promise<unknown> {
    const { shortMs } = this.#options.timeouts;
    return await this.#readWhole(request, shortMs, (cause) => unreachableError(this.#address, cause));
  }

  /** Asks something that is answered once a model has computed it. */
  async compute(request: RemoteRequest): Promise<unknown> {
    return await this.#readWhole(request, this.#options.timeouts.firstByteMs, () => this.#lateError());
  }

  /** Opens an answer: resolves when the server has accepted the request. */
  async open(request: RemoteRequest): Promise<RemoteStream> {
    const patience = new Patience(request.signal);
    patience.expect(this.#options.timeouts.firstByteMs, () => this.#lateError());
    try {
      const response = await this.#send(request, patience);
      return { messages: this.#readEvents(response, patience), [Symbol.dispose]: () => patience[Symbol.dispose]() };
    } catch (error) {
      patience[Symbol.dispose]();
      throw this.#explain(error, patience);
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  async #readWhole(request: RemoteRequest, limitMs: number, late: (cause: unknown) => DomainError): Promise<unknown> {
    using patience = new Patience(request.signal);
    patience.expect(limitMs, () => late(new Error(`Nothing came within ${limitMs} ms`)));
    try {
      return await readJson(await this.#send(request, patience));
    } catch (error) {
      throw this.#explain(error, patience);
    }
  }

  async *#readEvents(response: Response, patience: Patience): AsyncGenerator<string, void, void> {
    const { idleMs } = this.#options.timeouts;
    const expectMore = () => {
      patience.expect(idleMs, () => brokenError(this.#address, `went silent for ${idleMs / 1_000} seconds`));
    };
    try {
      if (response.body === null) return;
      for await (const { data } of readEventStream(response.body.pipeThrough(watch(expectMore)))) yield data;
    } catch (error) {
      throw this.#explain(error, patience);
    }
  }

  /** Sends a request, twice if need be, and returns a response that is good. */
  async #send(request: RemoteRequest, patience: Patience): Promise<Response> {
    const { clock } = this.#options;
    for (let attempt = 1;; attempt++) {
      const response = await this.#fetch(request, patience.signal).catch((error) => {
        if (attempt === 2 || patience.signal.aborted) throw error;
        return null;
      });
      if (response?.ok) return response;
      const waitMs = response === null ? null : readWaitMs(response);
      if (response !== null && (attempt === 2 || waitMs === null)) {
        const body = await readJson(response).catch(() => null);
        throw explainRefusal(this.#address, { status: response.status, body });
      }
      await response?.body?.cancel().catch(() => {});
      await clock.wait(waitMs ?? RETRY_MS * (1 + clock.random()), patience.signal);
    }
  }

  async #fetch({ path, body }: RemoteRequest, signal: AbortSignal): Promise<Response> {
    const { url, apiKey } = this.#address;
    const headers = new Headers({ accept: "application/json, text/event-stream", "user-agent": "rookery" });
    if (apiKey !== null) headers.set("authorization", `Bearer ${apiKey}`);
    if (body !== undefined) headers.set("content-type", "application/json");
    const init: RequestInit & { client: Deno.HttpClient } = {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      redirect: "manual",
      signal,
      client: this.#client,
    };
    const response = await this.#options.fetch(url + path, init).catch((error) => {
      throw new LostConnection("The connection was lost", { cause: error });
    });
    if (response.status < 300 || response.status > 399) return response;
    await response.body?.cancel().catch(() => {});
    const message = `${nameOf(this.#address)} redirects to another address; set that one in ROOKERY_REMOTES`;
    throw new DomainError("invalid_config", message, { param: "ROOKERY_REMOTES" });
  }

  #explain(error: unknown, patience: Patience): DomainError {
    if (patience.outer.aborted) {
      return new DomainError("request_cancelled", "The request was cancelled", { cause: error });
    }
    if (patience.signal.reason instanceof DomainError) return patience.signal.reason;
    if (error instanceof DomainError) return error;
    if (error instanceof SyntaxError) return notSpokenError(this.#address, error);
    if (error instanceof LostConnection) return unreachableError(this.#address, error.cause);
    return brokenError(this.#address, "broke off in the middle of this request", error);
  }

  #lateError(): DomainError {
    const { firstByteMs } = this.#options.timeouts;
    const message = `${nameOf(this.#address)} did not begin to answer within ${firstByteMs / 1_000} seconds`;
    return new DomainError("prefill_timeout", message);
  }
}

/** Aborts an exchange when its caller does, or when what is expected next does not come in time. */
class Patience implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#controller.signal]);
  }

  /** Replaces what was expected before. */
  expect(ms: number, late: () => DomainError): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(late()), ms);
  }

  /** Ends the exchange; a connection that is still open is closed. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#controller.abort(new Error("The exchange has ended"));
  }
}

/**
 * What `NO_PROXY` has to hold, so that requests to these addresses go to them and not to a proxy meant for the web. To be
 * set before {@linkcode RemoteHttp} is made. Deno offers no way to say so for one client: its `tcp` transport speaks no TLS
 * and writes request lines as to a proxy, which llama-server answers with 404.
 */
export function listDirectHosts(urls: readonly string[], noProxy: string | null): string {
  const hosts = urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ""));
  return [...new Set([...noProxy === null || noProxy === "" ? [] : [noProxy], ...hosts])].join(",");
}

/** How long to wait before asking again, in milliseconds; null when asking again would not help. */
function readWaitMs({ status, headers }: Response): number | null {
  const after = headers.get("retry-after");
  const waitMs = after !== null && /^\d{1,6}$/.test(after) ? Number(after) * 1_000 : null;
  if (waitMs !== null && waitMs > RETRY_AFTER_MS_MAX) return null;
  if (status === 502 || status === 503) return waitMs ?? RETRY_MS;
  return status === 429 ? waitMs : null;
}

/** Tells of every chunk of bytes that passes. */
function watch(onBytes: () => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  onBytes();
  return new TransformStream({
    transform(chunk, controller) {
      onBytes();
      controller.enqueue(chunk);
    },
  });
}

async function readJson(response: Response): Promise<unknown> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > RESPONSE_BYTES_MAX) throw new RangeError(`The response is longer than ${RESPONSE_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(await new Blob(chunks).text());
}
