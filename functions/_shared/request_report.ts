import type { ChatEvent } from "../../lib/contracts/chat.ts";
import { toReport } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";

/** Longest path that goes into the log; more of it is nobody's route. */
const PATH_CHARACTERS_MAX = 200;

/** What one line says of one request. Null is what never became known. It holds no content. */
interface RequestFacts {
  id: string;
  function: string;
  method: string;
  /** Without the query. */
  path: string;
  status: number | null;
  owner: string | null;
  /** The model that is served, never the name that a client made up. */
  model: string | null;
  stream: boolean;
  queueMs: number | null;
  prefillMs: number | null;
  decodeMs: number | null;
  promptTokens: number | null;
  completionTokens: number | null;
  cachedTokens: number | null;
  reasoningTokens: number | null;
  /** `ok`, `cancelled` or an error's code. */
  outcome: string;
}

/** Collects what becomes known of a request and writes it as one line when the last byte of the answer has left. */
export class RequestReport {
  readonly #facts: RequestFacts;
  readonly #log: Logger;
  readonly #startedAt = performance.now();
  #open = false;

  constructor(about: Pick<RequestFacts, "id" | "function" | "method" | "path">, log: Logger) {
    this.#log = log;
    this.#facts = {
      ...about,
      path: about.path.slice(0, PATH_CHARACTERS_MAX),
      status: null,
      owner: null,
      model: null,
      stream: false,
      queueMs: null,
      prefillMs: null,
      decodeMs: null,
      promptTokens: null,
      completionTokens: null,
      cachedTokens: null,
      reasoningTokens: null,
      outcome: "ok",
    };
  }

  /** Whether more is to come after the handler, by a body that writes the line itself when it ends. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Leaves it to the answer's body to write the line. */
  keepOpen(): void {
    this.#open = true;
  }

  add(facts: Partial<Pick<RequestFacts, "status" | "owner" | "model" | "stream" | "promptTokens">>): void {
    Object.assign(this.#facts, facts);
  }

  /**
   * Takes over what an engine's event says. Of a request with several answers tokens are added up, as the engine counts
   * them for each, and of the times the longest are told.
   */
  addEvent(event: ChatEvent): void {
    if (event.type === "admitted") this.#count("promptTokens", event.promptTokens);
    if (event.type === "started") {
      this.#stretch("queueMs", event.queueMs);
      this.#count("cachedTokens", event.cachedTokens);
    }
    if (event.type === "done") {
      this.#count("completionTokens", event.usage.completionTokens);
      this.#count("reasoningTokens", event.usage.reasoningTokens);
      this.#stretch("prefillMs", event.timings.prefillMs);
      this.#stretch("decodeMs", event.timings.decodeMs);
    }
  }

  /** Takes over how the request failed; an unknown failure is logged with its stack, under the request's id. */
  addFailure(error: unknown): void {
    const { code } = toReport(error);
    this.#facts.outcome = code === "request_cancelled" ? "cancelled" : code;
    if (code === "internal_error") this.#log.error("request_failed", { id: this.#facts.id, error });
  }

  /** The client went away before it had the answer. */
  addCancellation(): void {
    this.#facts.outcome = "cancelled";
  }

  /** Writes the line; to be called once. */
  write(): void {
    this.#log.info("request", { ...this.#facts, durationMs: round(performance.now() - this.#startedAt) });
  }

  #count(name: "promptTokens" | "completionTokens" | "cachedTokens" | "reasoningTokens", tokens: number): void {
    this.#facts[name] = (this.#facts[name] ?? 0) + tokens;
  }

  #stretch(name: "queueMs" | "prefillMs" | "decodeMs", ms: number): void {
    this.#facts[name] = Math.max(this.#facts[name] ?? 0, round(ms));
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
