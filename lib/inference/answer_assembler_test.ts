import assert from "node:assert/strict";
import { readerOf } from "../../tests/fixtures/answer_starts.ts";
import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { AnswerReader, ReadResult } from "./answer/answer_reader.ts";
import { AnswerAssembler, type AssembledEnding, type TokenTexts } from "./answer_assembler.ts";
import type { DrawnToken } from "./batch_decoder.ts";
import type { TokenVerdict } from "./job.ts";

/** A vocabulary that knows the pieces that it is asked for; `<|…|>` are control tokens. */
class Pieces implements TokenTexts {
  readonly #pieces: number[][] = [];
  readonly #controls = new Map<number, string>();

  token(piece: string | number[]): number {
    const bytes = typeof piece === "string" ? [...new TextEncoder().encode(piece)] : piece;
    const known = this.#pieces.findIndex((other) => String(other) === String(bytes));
    if (known >= 0) return known;
    if (typeof piece === "string" && /^<\|.*\|>$/.test(piece)) this.#controls.set(this.#pieces.length, piece);
    return this.#pieces.push(bytes) - 1;
  }

  bytes(token: number): number[] {
    return this.#pieces[token]!;
  }

  detokenize(tokens: readonly number[]): string {
    const plain = tokens.filter((token) => !this.#controls.has(token));
    return new TextDecoder().decode(Uint8Array.from(plain.flatMap((token) => this.bytes(token))));
  }

  spellControl(token: number): string | null {
    return this.#controls.get(token) ?? null;
  }

  encodeSpecial(text: string): number[] {
    return (text.match(/\S+\s*|\s+/g) ?? []).map((piece) => this.token(piece));
  }
}

interface Options {
  stop?: string[];
  logprobs?: boolean;
  reader?: AnswerReader;
  request?: Partial<ChatRequest>;
  cut?: boolean;
}

interface Assembled extends AssembledEnding {
  events: ChatEvent[];
  /** Of each piece. */
  verdicts: TokenVerdict[];
  pieces: Pieces;
}

/** Assembles an answer of these pieces, injected ones included, until it ends. */
function assemble(written: (string | number[])[], options: Options = {}): Assembled {
  const {
    stop = [],
    logprobs = false,
    request = {},
    reader = readerOf("qwen", { tools: [], ...request }),
    cut = false,
  } = options;
  const pieces = new Pieces();
  const events: ChatEvent[] = [];
  const assembler = new AnswerAssembler({ reader, texts: pieces, stop, logprobs, emit: (event) => events.push(event) });
  const verdicts: TokenVerdict[] = [];
  const todo = written.map((piece) => pieces.token(piece));
  let injected = 0;
  for (let token = todo.shift(); token !== undefined; token = todo.shift()) {
    const verdict = assembler.push(injected-- > 0 ? draw(token, []) : draw(token, pieces.bytes(token)));
    verdicts.push(verdict);
    if (verdict.ended) break;
    if (verdict.inject !== undefined) todo.unshift(...verdict.inject);
    injected = Math.max(injected, 0) + (verdict.inject?.length ?? 0);
  }
  return { ...assembler.finish({ cut }), events, verdicts, pieces };
}

function draw(token: number, bytes: number[]): DrawnToken {
  return { token, bytes, logprob: -token, top: [{ token, bytes, logprob: -token }] };
}

function textOf(events: readonly ChatEvent[]): string {
  return events.map((event) => event.type === "text" ? event.text : "").join("");
}

/** Texts with the texts of their tokens. */
function toldTokens(events: readonly ChatEvent[]): [text: string, tokens: string[] | undefined][] {
  return events.flatMap((event) => event.type === "text" ? [[event.text, event.tokens?.map(({ text }) => text)]] : []);
}

/** A reader that gives out one result for each piece. */
function scripted(results: Partial<ReadResult>[]): AnswerReader {
  return {
    grammar: null,
    readsControl: true,
    reasoning: false,
    reasoningTokens: 0,
    push: () => ({ events: [], ...results.shift() }),
    flush: () => ({ events: [], calls: 0, error: null }),
  };
}

const CALL = ["<tool_call>", '\n{"name": "get_time",', ' "arguments": {}}', "\n</tool_call>"];

Deno.test("AnswerAssembler tells text as it comes, with characters whole", () => {
  const { events, finishReason } = assemble(["Hal", [0x6c, 0xc3], [0xb6, 0x63], "hen"]);
  assert.deepEqual(events, [{ type: "text", text: "Hal" }, { type: "text", text: "löc" }, {
    type: "text",
    text: "hen",
  }]);
  assert.equal(finishReason, "stop");
});

Deno.test("AnswerAssembler leaves out half a character that never became whole", () => {
  const { events } = assemble(["Hal", [0x6c, 0xc3]], { cut: true });
  assert.equal(textOf(events), "Hall");
});

Deno.test("AnswerAssembler finds a stop text however it is cut into tokens, and ends there", () => {
  for (
    const pieces of [["one S", "TO", "P two"], ["one ", "STOP two"], ["o", "n", "e", " ", "S", "T", "O", "P", " "]]
  ) {
    const { events, verdicts, finishReason } = assemble(pieces, { stop: ["never", "STOP"] });
    assert.deepEqual([textOf(events), verdicts.at(-1)?.ended, finishReason], ["one ", true, "stop"]);
  }
});

Deno.test("AnswerAssembler tells what looked like a stop text once it is none", () => {
  assert.equal(textOf(assemble(["one ST", "OOP"], { stop: ["STOP"] }).events), "one STOOP");
  assert.equal(textOf(assemble(["one ST"], { stop: ["STOP"] }).events), "one ST");
});

Deno.test("AnswerAssembler says how an answer ended", () => {
  assert.equal(assemble(["one"], { cut: true }).finishReason, "length");
  assert.equal(assemble(["one ST", "OP"], { cut: true, stop: ["STOP"] }).finishReason, "stop");
  const request = readerOf("qwen");
  assert.equal(assemble(CALL, { reader: request }).finishReason, "tool_calls");
  assert.equal(assemble(CALL.slice(0, -2), { reader: readerOf("qwen"), cut: true }).finishReason, "length");
});

Deno.test("AnswerAssembler says that JSON is broken, but not when a limit or a stop text broke it", () => {
  const request: Partial<ChatRequest> = { format: { type: "json" } };
  assert.equal(assemble(['{"a": 1'], { request }).error?.code, "answer_invalid");
  assert.equal(assemble(['{"a": 1'], { request, cut: true }).error, null);
  assert.equal(assemble(['{"a": 1', "}"], { request, stop: ["}"] }).error, null);
  assert.equal(assemble(['{"a": 1', "}"], { request }).error, null);
});

Deno.test("AnswerAssembler tells calls, and no text after a stop text", () => {
  const { events, finishReason } = assemble(["Let me", " see.", ...CALL], { reader: readerOf("qwen") });
  assert.deepEqual(events.map(({ type }) => type), ["text", "text", "tool_call", "tool_arguments"]);
  assert.equal(finishReason, "tool_calls");
  const stopped = assemble(["Let me", " see.", ...CALL], { reader: readerOf("qwen"), stop: [" see"] });
  assert.deepEqual([textOf(stopped.events), stopped.finishReason], ["Let me", "stop"]);
  assert.ok(stopped.events.every(({ type }) => type === "text"));
});

Deno.test("AnswerAssembler tells what was held back for a stop text before a call", () => {
  const { events } = assemble(["see ST", ...CALL], { reader: readerOf("qwen"), stop: ["STOP"] });
  assert.deepEqual(events.slice(0, 2).map((event) => event.type === "text" ? event.text : ""), ["see ", "ST"]);
});

Deno.test("AnswerAssembler tells each text with the tokens that were drawn for it", () => {
  const { events } = assemble(["one ", "ri", "v", "er ", "two"], { logprobs: true, stop: ["rivers"] });
  assert.deepEqual(toldTokens(events), [["one ", ["one "]], ["river ", ["ri", "v", "er "]], ["two", ["two"]]]);
  const [first] = events;
  assert.ok(first?.type === "text");
  assert.deepEqual(first.tokens?.[0]?.top.map(({ text }) => text), ["one "]);
  assert.deepEqual(toldTokens(assemble(["one"]).events), [["one", undefined]], "nobody asked for them");
});

Deno.test("AnswerAssembler gives a held back token to its own text and not to the one before", () => {
  const { events } = assemble(["one ", "two S", "T", "op"], { logprobs: true, stop: ["STOP"] });
  assert.deepEqual(toldTokens(events), [["one ", ["one "]], ["two ", ["two S"]], ["STop", ["T", "op"]]]);
});

Deno.test("AnswerAssembler shows a character's tokens together, each with its bytes", () => {
  const { events } = assemble([[0xc3], [0x9f]], { logprobs: true });
  const [text] = events;
  assert.ok(text?.type === "text");
  assert.deepEqual([text.text, text.tokens?.map(({ bytes }) => bytes)], ["ß", [[0xc3], [0x9f]]]);
});

Deno.test("AnswerAssembler tells no tokens of thoughts, markers and calls", () => {
  const reader = readerOf("qwen", { reasoning: { enabled: true, tokensMax: null } });
  const written = ["<think>", "\n", "Hm", "</think>", "\n\n", "Yes", ".", ...CALL];
  const { events } = assemble(written, { reader, logprobs: true });
  assert.deepEqual(toldTokens(events), [["Yes", ["Yes"]], [".", ["."]]]);
  assert.ok(events.some((event) => event.type === "reasoning" && event.text.includes("Hm")));
});

Deno.test("AnswerAssembler writes what a reader injects, control tokens as such, and tells no odds of it", () => {
  const reader = readerOf("qwen", { reasoning: { enabled: true, tokensMax: 2 } });
  const { events, verdicts, reasoningTokens } = assemble(["<think>", "a ", "b ", "Yes"], { reader, logprobs: true });
  const injecting = verdicts.filter(({ inject }) => inject !== undefined);
  assert.equal(injecting.length, 1, "once");
  assert.ok(injecting[0]!.inject!.length > 1);
  const thought = events.map((event) => event.type === "reasoning" ? event.text : "").join("");
  assert.match(thought, /a b[\s\S]*I have thought long enough/);
  assert.deepEqual(toldTokens(events), [["Yes", ["Yes"]]]);
  assert.ok(reasoningTokens >= 2);
});

Deno.test("AnswerAssembler lets a grammar begin where the marker's own token goes on", () => {
  const gbnf = 'root ::= "{" [a-z]* "}"\n';
  const reader = scripted([{ grammar: { gbnf, written: '{"' } }, { grammar: { gbnf, written: "" } }, {
    grammar: null,
  }]);
  const { verdicts, pieces } = assemble(['<call>\n"{"', "x", "y"], { reader });
  const token = pieces.token('<call>\n"{"');
  assert.deepEqual(verdicts[0]?.grammar?.accepted, [token]);
  assert.equal(
    verdicts[0]?.grammar?.gbnf,
    'root ::= "<call>\\n\\"" behind-marker\nbehind-marker ::= "{" [a-z]* "}"\n',
  );
  assert.deepEqual(verdicts[1]?.grammar, { gbnf, accepted: [] });
  assert.deepEqual(verdicts[2]?.grammar, { gbnf: null, accepted: [] });
});

Deno.test("AnswerAssembler shows a reader control tokens only when it reads them", () => {
  const seen: [string, boolean][] = [];
  for (const readsControl of [true, false]) {
    const reader: AnswerReader = {
      ...scripted([]),
      readsControl,
      push: ({ text, control }) => {
        seen.push([text, control]);
        return { events: [] };
      },
    };
    assemble(["<|x|>", "a"], { reader });
  }
  assert.deepEqual(seen, [["<|x|>", true], ["a", false], ["", false], ["a", false]]);
});
