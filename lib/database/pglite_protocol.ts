import type { Value } from "./database.ts";

/** Where an embedded database lies. */
export interface PglitePlace {
  /** Folder of the data, which is made when it is not there; null keeps everything in memory, for tests. */
  folder: string | null;
  /** A dump of a new database, which a folder that is not there is made from; null makes one from nothing. */
  template: Uint8Array<ArrayBuffer> | null;
}

/** What the thread of an embedded database is asked; each request is answered, in order, with its `id`. */
export type PgliteRequest =
  & { id: number }
  & (
    | { type: "open"; place: PglitePlace }
    /**
     * Without `values` the text may hold several statements; the rows are those of the last that gives any. Past the deadline the answer
     * is a fatal refusal with 57014.
     */
    | { type: "query"; text: string; values: readonly Value[] | null; deadlineMs: number }
    /** All of it as an archive, for a template. */
    | { type: "dump" }
    | { type: "close" }
  );

/** What the thread answers; an answer is preceded by the notifications that were sent before it. */
export type PgliteReply =
  | { type: "done"; id: number; rows: object[] }
  | { type: "dumped"; id: number; archive: Uint8Array<ArrayBuffer> }
  | { type: "refused"; id: number; error: PgliteRefusal }
  | { type: "notified"; channel: string; payload: string };

/** An error of Postgres, in parts; without `sqlState` it is one of the thread itself. */
export interface PgliteRefusal {
  message: string;
  sqlState: string | null;
  constraint: string | null;
  detail: string | null;
  /** Whether Postgres is gone with it, as after a panic: the thread gave up its files and answers no more. */
  isFatal: boolean;
}
