import { z } from "zod";

/** One row of the table of settings: an environment variable, what it may hold and what it means. */
export interface Setting<Value> {
  /** The environment variable. */
  name: string;
  /** What an unset or empty variable counts as, as it would be written; null leaves it out. */
  default: string | null;
  /** What it does, for the README's table. */
  description: string;
  /** Completes the sentence `NAME must be …`. */
  expected: string;
  /** True when the value must never be repeated in a message. */
  secret: boolean;
  schema: z.ZodType<Value, string>;
}

type Row<Value> = Omit<Setting<Value>, "secret"> & { secret?: boolean };

/** A row that says nothing of secrets holds none. */
export function defineSetting<Value>(row: Row<Value> & { default: string }): Setting<Value> & { default: string };
export function defineSetting<Value>(row: Row<Value> & { default: null }): Setting<Value> & { default: null };
export function defineSetting<Value>(row: Row<Value>): Setting<Value> {
  return { secret: false, ...row };
}

/** Texts that are separated by commas. */
export const list: z.ZodType<string[], string> = z.string()
  .transform((text) => text.split(",").map((item) => item.trim()).filter((item) => item !== ""));

/** A path. Deno's permission flags take lists that are separated by commas and know no way to write one. */
export const path: z.ZodString = z.string().regex(/^[^,\0]+$/);

/** An `http:` or `https:` address. */
export const httpUrl: z.ZodURL = z.url({ protocol: /^https?$/ });

/** A text without spaces, as identifiers and secrets are. */
export const word: z.ZodString = z.string().regex(/^[\x21-\x7e]+$/);
