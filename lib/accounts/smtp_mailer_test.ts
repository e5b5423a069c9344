import assert from "node:assert/strict";
import { createSmtpMailer } from "./smtp_mailer.ts";

/** A mail server that takes one letter, or refuses every one, and keeps what it was told (RFC 5321). */
function startMailServer({ refuses = false } = {}): AsyncDisposable & { port: number; heard: string[] } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heard: string[] = [];
  const serving = (async () => {
    for await (const connection of listener) await answer(connection, { heard, refuses });
  })();
  const close = async () => {
    listener.close();
    await serving;
  };
  return { port: listener.addr.port, heard, [Symbol.asyncDispose]: close };
}

async function answer(connection: Deno.TcpConn, { heard, refuses }: { heard: string[]; refuses: boolean }) {
  const say = (line: string) => connection.write(new TextEncoder().encode(`${line}\r\n`));
  await say("220 mail.test ready");
  let isLetter = false;
  for await (const text of connection.readable.pipeThrough(new TextDecoderStream(), { preventCancel: true })) {
    for (const line of text.split("\r\n").filter((line) => line !== "")) {
      heard.push(line);
      if (isLetter && line !== ".") continue;
      isLetter = line === "DATA";
      if (line === "QUIT") return connection.close();
      if (line.startsWith("EHLO")) await say("250 AUTH PLAIN");
      else if (line.startsWith("AUTH")) await say("235 welcome");
      else if (line.startsWith("RCPT") && refuses) await say("550 nobody here");
      else await say(isLetter ? "354 go on" : "250 fine");
    }
  }
}

const LETTER = {
  to: "ada@example.org",
  subject: "Set a new password",
  text: "Open this link:\n\nhttps://x.example/#token=1\n",
};

Deno.test("A letter goes through the server of the address, with its name and password, as plain text", async () => {
  await using server = startMailServer();
  const url = `smtp://rookery:p%40ss@127.0.0.1:${server.port}`;
  await createSmtpMailer({ url, from: "Rookery <rookery@example.org>" }).send(LETTER);
  const plain = server.heard.find((line) => line.startsWith("AUTH PLAIN"))?.split(" ")[2] ?? "";
  assert.equal(atob(plain), "\0rookery\0p@ss");
  assert.ok(server.heard.includes("MAIL FROM:<rookery@example.org>"));
  assert.ok(server.heard.includes("RCPT TO:<ada@example.org>"));
  assert.ok(server.heard.includes("Subject: Set a new password"));
  assert.ok(server.heard.some((line) => line.includes("https://x.example/#token=1")));
});

Deno.test("A server that takes no letter, or is not there, is told without repeating its address", async () => {
  await using server = startMailServer({ refuses: true });
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  for (const port of [server.port, closed.addr.port]) {
    const mailer = createSmtpMailer({ url: `smtp://rookery:secret@127.0.0.1:${port}`, from: "rookery@example.org" });
    await assert.rejects(mailer.send(LETTER), (error: Error & { code: string }) => {
      return error.code === "mail_failed" && !error.message.includes("secret");
    });
  }
});
