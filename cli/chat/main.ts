import { listModels, type RookeryAddress, streamChat } from "../../lib/client/chat.ts";
import { readSettings } from "../../lib/env.ts";
import { DomainError, toReport } from "../../lib/errors.ts";
import { nameDeno, nameUrl } from "../../lib/runtime/banner.ts";
import { EXIT_CODES } from "../../lib/runtime/exit_codes.ts";
import { ignoreEchoes } from "../../lib/runtime/interrupts.ts";
import { printTo } from "../../lib/terminal.ts";
import { readLines } from "../../lib/worker/lines.ts";
import { TerminalChat } from "./terminal_chat.ts";

function write(text: string): void {
  printTo(Deno.stdout, text);
}

/** Where this machine's Rookery is, by the same settings that it was started with. */
function findRookery(): RookeryAddress {
  const { host, port, apiKey } = readSettings(Deno.env.toObject());
  const url = nameUrl(host, port);
  const { hostname } = new URL(url);
  // A proxy for the internet must not see what is said to this machine.
  const client = Deno.createHttpClient({
    proxy: { transport: "tcp", hostname: hostname.replace(/^\[|\]$/g, ""), port },
  });
  const direct = (input: string | URL | Request, init?: RequestInit) => fetch(new Request(input, init), { client });
  return { url, apiKey, fetch: direct };
}

async function* askTexts(
  address: RookeryAddress,
  chat: Parameters<typeof streamChat>[1],
): AsyncGenerator<string, void, void> {
  for await (const event of streamChat(address, chat)) {
    if (event.type === "text") yield event.text;
    else if (event.finishReason === "length") yield " [cut off: the context is full]";
  }
}

async function main(): Promise<number> {
  const rookery = findRookery();
  const [model] = await listModels(rookery);
  if (model === undefined) throw new DomainError("model_not_found", "Rookery serves no model");
  write(`Talking with ${model} at ${rookery.url}\n`);
  const chat = new TerminalChat({
    lines: readLines(Deno.stdin.readable),
    write,
    ask: (messages, signal) => askTexts(rookery, { model, messages, signal }),
  });
  Deno.addSignalListener("SIGINT", ignoreEchoes(() => chat.interrupt()));
  await chat.run();
  return EXIT_CODES.ended;
}

try {
  Deno.exit(await main());
} catch (error) {
  const hint = `Start it with "${nameDeno(Deno.execPath(), Deno.version.deno)} task start".`;
  const { code, message } = toReport(error);
  write(`${message}${code === "engine_unavailable" ? ` ${hint}` : ""}\n`);
  Deno.exit(EXIT_CODES.unknown);
}
