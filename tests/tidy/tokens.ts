/**
 * Splits TypeScript into tokens, just well enough to know code from strings, templates, comments and regular
 * expressions. The rules of `tests/tidy_test.ts` stand on it. It follows ECMA-262's lexical grammar with one
 * simplification: `/` after `)`, `]` or `}` divides. Where that is wrong the scan ends in an error, never in silence.
 */

export type TokenKind = "word" | "number" | "string" | "template" | "regex" | "punctuator" | "comment" | "doc";

export interface Token {
  kind: TokenKind;
  text: string;
  /** First and last line, counted from 1. */
  line: number;
  endLine: number;
}

/** Words after which `/` starts a regular expression, though they look like names. */
const WORDS_BEFORE_REGEX = new Set([
  ..."await case delete do else in instanceof new of return throw typeof void yield".split(" "),
]);

const WORD = /[\p{ID_Start}$_#@][\p{ID_Continue}$]*/uy;
const NUMBER = /\.?\d[\w.]*/y;
const STRING = /"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'/y;
const REGEX = /\/(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const TEMPLATE_CHUNK = /(?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;
const PUNCTUATOR = /=>|\.\.\.|\?\.|[^\s]/y;

/** Splits `source` into tokens; throws a `SyntaxError` with the line where it cannot. */
export function scanTokens(source: string): Token[] {
  const tokens: Token[] = [];
  /** One entry for each open `{`: whether it is the `${` of a template. */
  const braces: boolean[] = [];
  let line = 1;
  let at = 0;

  function take(kind: TokenKind, pattern: RegExp): Token {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined) throw new SyntaxError(`Cannot scan line ${line}: ${source.slice(at, at + 40)}`);
    const token = { kind, text, line, endLine: line + (text.match(/\n/g)?.length ?? 0) };
    at += text.length;
    line = token.endLine;
    tokens.push(token);
    return token;
  }

  function takeTemplateChunk(): void {
    if (take("template", TEMPLATE_CHUNK).text.endsWith("${")) braces.push(true);
  }

  while (at < source.length) {
    const character = source[at] ?? "";
    if (/\s/.test(character)) {
      if (character === "\n") line++;
      at++;
    } else if (character === "`") {
      at++;
      takeTemplateChunk();
    } else if (character === "{") {
      braces.push(false);
      take("punctuator", PUNCTUATOR);
    } else if (character === "}") {
      take("punctuator", PUNCTUATOR);
      if (braces.pop() === true) takeTemplateChunk();
    } else {
      const token = take(...chooseKind(source, at, tokens));
      if (token.text.startsWith("/**")) token.kind = "doc";
    }
  }
  return tokens;
}

/** Which kind of token begins at `at`, when it is neither a brace nor a template. */
function chooseKind(source: string, at: number, before: Token[]): [TokenKind, RegExp] {
  const two = source.slice(at, at + 2);
  if (two === "//" || two === "/*") return ["comment", COMMENT];
  if (/^["']/.test(two)) return ["string", STRING];
  if (/^\.?\d/.test(two)) return ["number", NUMBER];
  if (/^[\p{ID_Start}$_#@]/u.test(source.slice(at, at + 2))) return ["word", WORD];
  if (two.startsWith("/") && mayStartRegex(before)) return ["regex", REGEX];
  return ["punctuator", PUNCTUATOR];
}

function mayStartRegex(before: Token[]): boolean {
  const last = before.findLast(({ kind }) => kind !== "comment" && kind !== "doc");
  if (last === undefined) return true;
  if (last.kind === "word") return WORDS_BEFORE_REGEX.has(last.text);
  if (last.kind === "template") return last.text.endsWith("${");
  // Behind a value `!` says that it is not null, and what follows divides.
  if (last.text === "!") return mayStartRegex(before.slice(0, before.lastIndexOf(last)));
  return last.kind === "punctuator" && !/^[)\]}]$/.test(last.text);
}

/** `tokens` without comments. */
export function withoutComments(tokens: Token[]): Token[] {
  return tokens.filter(({ kind }) => kind !== "comment" && kind !== "doc");
}

const CLOSERS: Record<string, string> = { "(": ")", "[": "]", "{": "}" };

/** Maps the index of every opening bracket, `${` included, to the index of the one that closes it. */
export function pairBrackets(tokens: Token[]): Map<number, number> {
  const pairs = new Map<number, number>();
  const open: { index: number; closer: string }[] = [];
  for (const [index, { kind, text }] of tokens.entries()) {
    const opener = kind === "template" && text.endsWith("${") ? "{" : kind === "punctuator" ? text : "";
    const closer = CLOSERS[opener];
    if (closer !== undefined) {
      open.push({ index, closer });
    } else if (kind === "punctuator" && /^[)\]}]$/.test(text)) {
      const last = open.pop();
      if (last?.closer !== text) throw new SyntaxError(`Unexpected ${text} in line ${tokens[index]?.line}`);
      pairs.set(last.index, index);
    }
  }
  const left = open.at(-1);
  if (left !== undefined) throw new SyntaxError(`Bracket of line ${tokens[left.index]?.line} is never closed`);
  return pairs;
}
