import { DomainError } from "../errors.ts";

/**
 * The certificate and key with which Rookery itself speaks TLS, as `Deno.serve` takes them; null without any.
 *
 * @throws {DomainError} `invalid_config` when a file cannot be read or is no PEM.
 */
export async function readTlsFiles(
  { tlsCert, tlsKey }: { tlsCert: string | null; tlsKey: string | null },
): Promise<{ cert: string; key: string } | null> {
  if (tlsCert === null || tlsKey === null) return null;
  const [cert, key] = await Promise.all([
    readPem(tlsCert, { name: "TLS_CERT", label: "CERTIFICATE" }),
    readPem(tlsKey, { name: "TLS_KEY", label: "PRIVATE KEY" }),
  ]);
  return { cert, key };
}

async function readPem(path: string, { name, label }: { name: string; label: string }): Promise<string> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown reason";
    throw new DomainError("invalid_config", `Cannot read ${name}, ${path}: ${reason}`, { param: name, cause });
  }
  if (text.includes(`${label}-----`)) return text;
  throw new DomainError("invalid_config", `${name}, ${path}, holds no ${label.toLowerCase()} in PEM form`, {
    param: name,
  });
}
