import { randomBytes } from "node:crypto";

/** Draws a token for one life of a worker: 256 random bits in hex. */
export function drawToken(): string {
  return randomBytes(32).toString("hex");
}
