import { withDeadline } from "../worker/deadline.ts";
import { DomainError } from "../errors.ts";

/** Answers a request of whom the server tells. */
export type Handler = (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => Response | Promise<Response>;

/** Where a {@linkcode Door} is. */
export interface DoorPlace {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Certificate and key in PEM form, or null for plain http. */
  tls?: { cert: string; key: string } | null;
}

/**
 * The port that Rookery listens on. It is taken first of all, so that a busy one is known before a model is fetched;
 * `answerEarly` tells who comes before {@linkcode Door.open} to come back.
 */
export class Door {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #handler: Handler;

  /**
   * @throws {DomainError} `port_busy` when something listens there already; `invalid_config` when the system does not
   *   let Rookery listen there, or the key is not the certificate's.
   */
  constructor({ host, port, tls = null }: DoorPlace, answerEarly: Handler) {
    this.#handler = answerEarly;
    const options = { hostname: host, port, onListen() {}, ...tls };
    try {
      this.#server = Deno.serve(options, (request, info) => this.#handler(request, info));
    } catch (error) {
      throw explain(error, { host, port, tls });
    }
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Lets requests through to `handler`. */
  open(handler: Handler): void {
    this.#handler = handler;
  }

  /** Takes no more requests and waits for those under way, at most `limitMs`: the end of the process cuts the rest. */
  async close(limitMs: number): Promise<void> {
    await withDeadline(this.#server.shutdown(), limitMs);
  }
}

function explain(cause: unknown, { host, port, tls = null }: DoorPlace): unknown {
  if (cause instanceof Deno.errors.AddrInUse) {
    return new DomainError(
      "port_busy",
      `Cannot listen on port ${port} of ${host}: another program does already; stop it, or choose another port with ` +
        `PORT, such as PORT=${port < 65_535 ? port + 1 : port - 1}`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) {
    return new DomainError("invalid_config", `HOST is "${host}", which is no address of this machine`, { cause });
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new DomainError(
      "invalid_config",
      `PORT is ${port}, which this user may not listen on; take one above 1023`,
      {
        cause,
      },
    );
  }
  if (tls !== null && cause instanceof Error && !("code" in cause)) {
    const message = `Cannot speak TLS with what is in TLS_CERT and TLS_KEY: ${cause.message}; the key must be the ` +
      "certificate's own, and not locked with a password";
    return new DomainError("invalid_config", message, { param: "TLS_KEY", cause });
  }
  return cause;
}
