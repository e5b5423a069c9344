import { Client, decodeSpeed, decodeSpeedTogether, firstMs, type Message, totalSpeed, WordSource } from "./client.ts";
import type { Server } from "./servers.ts";
import type { Comparison } from "./table.ts";

const PREFILL_TOKENS = 1_500;
const HISTORY_TOKENS = 2_000;
/** Conversations that come between, more than there are sequences, and their length. */
const OTHERS = 8;
const OTHER_TOKENS = 200;

/** What one server did in one round; times in milliseconds, speeds in tokens a second, memory in bytes. */
export interface Measurement {
  decodeOne: number;
  decodeTwo: number;
  decodeFour: number;
  decodeSixteen: number;
  decodeSchema: number;
  prefill: number;
  firstTokenColdMs: number;
  firstTokenSecondTurnMs: number;
  firstTokenSiblingMs: number;
  firstTokenAfterOthersMs: number;
  firstTokenAfterRestartMs: number;
  memoryBytes: number;
}

const SPEED = { unit: "tok/s", divisor: 1, digits: 1 } as const;
const WAIT = { unit: "ms", divisor: 1, digits: 0 } as const;

/** How measurements are shown. */
export const COMPARISON: Comparison<keyof Measurement> = {
  own: "Rookery",
  other: "llama-server",
  rows: [
    { label: "decode, 1 stream", key: "decodeOne", ...SPEED },
    { label: "decode, 2 streams", key: "decodeTwo", ...SPEED },
    { label: "decode, 4 streams", key: "decodeFour", ...SPEED },
    { label: "16 answers at once, in all", key: "decodeSixteen", ...SPEED },
    { label: "decode, 1 stream, JSON by a schema", key: "decodeSchema", ...SPEED },
    { label: "prefill, 1,500 tokens", key: "prefill", ...SPEED, digits: 0 },
    { label: "first token, cold, 2,000 tokens", key: "firstTokenColdMs", ...WAIT },
    { label: "first token, second turn", key: "firstTokenSecondTurnMs", ...WAIT },
    { label: "first token, sibling branch", key: "firstTokenSiblingMs", ...WAIT },
    { label: "first token, after 8 other conversations", key: "firstTokenAfterOthersMs", ...WAIT },
    { label: "first token, after a restart", key: "firstTokenAfterRestartMs", ...WAIT },
    { label: "resident memory", key: "memoryBytes", unit: "MB", divisor: 1e6, digits: 0 },
  ],
};

/** JSON that goes on for longer than any answer here. */
const PEOPLE = {
  type: "array",
  minItems: 64,
  items: {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" }, city: { type: "string" } },
    required: ["name", "age", "city"],
    additionalProperties: false,
  },
};
const SCHEMA_FORMAT = { type: "json_schema", json_schema: { name: "people", schema: PEOPLE } };

/** What is measured in a round. */
export interface RoundOptions {
  /** Makes prompts that no cache knows, and the same ones for every server. */
  round: number;
  /** Leaves out what prompts cost: a large model reads them for minutes. */
  decodeOnly?: boolean;
}

/** Measures one server while nothing else works. */
export async function measureServer(
  server: Server,
  model: string,
  { round, decodeOnly = false }: RoundOptions,
): Promise<Partial<Measurement>> {
  const client = new Client(server, model, new WordSource(`${model} ${round}`));
  await client.ask([{ role: "user", content: "Hello" }], { max_tokens: 8 });
  const decode = await measureDecode(client);
  if (decodeOnly) return { ...decode, memoryBytes: await server.measureMemory() };
  const read = await client.ask(await client.makePrompt(PREFILL_TOKENS), { max_tokens: 1 });
  const first = await measureFirstTokens(client);
  return {
    ...decode,
    ...first,
    prefill: (read.promptTokens - read.cachedTokens) / (read.endedMs - read.askedMs) * 1000,
  };
}

async function measureDecode(client: Client) {
  const writeMany = (count: number) => Promise.all(Array.from({ length: count }, () => client.write()));
  const one = await client.write();
  const schema = await client.write({ response_format: SCHEMA_FORMAT });
  const two = await writeMany(2);
  const four = await writeMany(4);
  const sixteen = await writeMany(16);
  return {
    decodeOne: decodeSpeed(one),
    decodeSchema: decodeSpeed(schema),
    decodeTwo: decodeSpeedTogether(two),
    decodeFour: decodeSpeedTogether(four),
    // More answers than there are sequences: they come in waves, and what counts is when all are there.
    decodeSixteen: totalSpeed(sixteen),
  };
}

async function measureFirstTokens(client: Client) {
  const wait = async (messages: readonly Message[]) => {
    const answer = await client.ask(messages, { max_tokens: 8 });
    return firstMs(answer) - answer.askedMs;
  };
  const conversation = await client.makePrompt(HISTORY_TOKENS);
  const cold = await client.ask(conversation, { max_tokens: 32 });
  const answered: Message[] = [...conversation, { role: "assistant", content: cold.text }];
  const asking = (content: string): Message[] => [...answered, { role: "user", content }];
  const firstTokenSecondTurnMs = await wait(asking("And what follows from it?"));
  const firstTokenSiblingMs = await wait(asking("What does that mean for the harbour?"));
  for (let other = 0; other < OTHERS; other++) await wait(await client.makePrompt(OTHER_TOKENS));
  const firstTokenAfterOthersMs = await wait(asking("Who else heard of it?"));
  const memoryBytes = await client.server.measureMemory();
  await client.server.restart();
  return {
    firstTokenColdMs: firstMs(cold) - cold.askedMs,
    firstTokenSecondTurnMs,
    firstTokenSiblingMs,
    firstTokenAfterOthersMs,
    firstTokenAfterRestartMs: await wait(asking("And how did it end?")),
    memoryBytes,
  };
}
