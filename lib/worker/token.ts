import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** Draws a token for one life of a worker: 256 random bits in hex. */
export function drawToken(): string {
  return randomBytes(32).toString("hex");
}

/** Whether an `Authorization` header carries `token`, in a time that says nothing about how much of it was right. */
export function carriesToken(authorization: string | null, token: string): boolean {
  const given = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
  return timingSafeEqual(hash(given), hash(token));
}

function hash(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
