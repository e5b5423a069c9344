import { createTransport } from "nodemailer";
import { DomainError } from "../errors.ts";
import type { Letter, Mailer } from "./mail.ts";

/** How long a mail server may take for each step, in milliseconds. */
const STEP_MS = 10_000;

/**
 * Sends letters through the server of an `smtp:` or `smtps:` address, which may hold a name and a password. Plain
 * `smtp:` turns to TLS when the server offers it.
 */
export function createSmtpMailer({ url, from }: { url: string; from: string }): Mailer {
  const timeouts = { connectionTimeout: STEP_MS, greetingTimeout: STEP_MS, socketTimeout: STEP_MS };
  const { hostname, port, protocol, username, password } = new URL(url);
  const secure = protocol === "smtps:";
  const auth = username === ""
    ? {}
    : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } };
  const transport = createTransport({
    host: hostname,
    port: port === "" ? (secure ? 465 : 587) : Number(port),
    secure,
    ...auth,
    ...timeouts,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send({ to, subject, text }: Letter): Promise<void> {
      try {
        await transport.sendMail({ from, to, subject, text });
      } catch (cause) {
        const message = "The letter could not be sent: the server of SMTP_URL did not take it; its log says more";
        throw new DomainError("mail_failed", message, { cause });
      }
    },
  };
}
