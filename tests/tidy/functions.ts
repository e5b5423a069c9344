import { pairBrackets, type Token } from "./tokens.ts";

/** A function, method or arrow function as it stands in a source. Token indices are inclusive. */
export interface FunctionExtent {
  name: string;
  line: number;
  lines: number;
  firstToken: number;
  lastToken: number;
}

const CONTROL_WORDS = new Set(["if", "for", "while", "switch", "catch", "with"]);
const TYPE_PREFIXES = new Set(["keyof", "typeof", "readonly", "unique", "infer", "asserts", "new", "abstract"]);
const NEVER_A_TYPE = new Set(["return", "throw", "break", "continue", "await", "if", "for", "while"]);

/**
 * Finds every function in `tokens` (comments taken out): wherever a parameter list is followed, perhaps after a
 * return type, by `=>` or by a block that no control word owns.
 */
export function findFunctions(tokens: Token[]): FunctionExtent[] {
  const pairs = pairBrackets(tokens);
  const found: FunctionExtent[] = [];
  /** End of the last return type: a function type in there has no body. */
  let typeEnd = 0;
  for (const [open, close] of [...pairs].sort(([a], [b]) => a - b)) {
    if (tokens[open]?.text !== "(" || open < typeEnd) continue;
    const bodyAt = tokens[close + 1]?.text === ":" ? skipType(tokens, pairs, close + 2) : close + 1;
    const lastToken = findEnd({ tokens, pairs, open, bodyAt });
    if (lastToken === null) continue;
    if (bodyAt > close + 1) typeEnd = bodyAt;
    const firstToken = tokens[open - 1]?.kind === "word" ? open - 1 : open;
    const line = tokens[firstToken]?.line ?? 0;
    const lines = (tokens[lastToken]?.endLine ?? 0) - line + 1;
    found.push({ name: nameFunction(tokens, open), line, lines, firstToken, lastToken });
  }
  return found;
}

/** Index of the last token of the function whose parameters begin at `open`, or null when it is no function. */
function findEnd(
  { tokens, pairs, open, bodyAt }: { tokens: Token[]; pairs: Map<number, number>; open: number; bodyAt: number },
): number | null {
  const body = tokens[bodyAt]?.text;
  if (body === "=>") {
    const first = bodyAt + 1;
    return tokens[first]?.text === "{" ? pairs.get(first) ?? null : findExpressionEnd(tokens, pairs, first);
  }
  if (body !== "{") return null;
  const before = tokens[open - 1];
  if (before === undefined) return null;
  if (before.kind === "word") {
    const word = before.text === "await" ? tokens[open - 2]?.text ?? "" : before.text;
    return CONTROL_WORDS.has(word) ? null : pairs.get(bodyAt) ?? null;
  }
  // A generic function ends in `>`, a computed or quoted method name in `]` or a string, `function*` in `*`.
  return before.kind === "string" || /^[>\]*]$/.test(before.text) ? pairs.get(bodyAt) ?? null : null;
}

function findExpressionEnd(tokens: Token[], pairs: Map<number, number>, first: number): number {
  let at = first;
  while (at < tokens.length && !(tokens[at]?.kind === "punctuator" && /^[,;)\]}]$/.test(tokens[at]?.text ?? ""))) {
    at = (pairs.get(at) ?? at) + 1;
  }
  return at - 1;
}

function nameFunction(tokens: Token[], open: number): string {
  let at = open - 1;
  if (tokens[at]?.text === ">") at = tokens.findLastIndex(({ text }, index) => index < at && text === "<") - 1;
  if (tokens[at]?.text === "async") at--;
  const before = tokens[at];
  if (before?.text === "=" || before?.text === ":" || before?.text === ",") at--;
  const named = tokens[at];
  return named?.kind === "word" || named?.kind === "string" ? named.text : "(anonymous)";
}

/** Index of the first token after the type that begins at `start`. */
function skipType(tokens: Token[], pairs: Map<number, number>, start: number): number {
  let at = start;
  let operandExpected = true;
  let parameters = false;
  /** Conditional types whose `:` is still to come. */
  let conditionals = 0;
  for (;;) {
    const token = tokens[at];
    if (token === undefined) return at;
    const isName = token.kind === "word" || token.kind === "string" || token.kind === "number";
    const text = token.kind === "punctuator" ? token.text : token.kind === "word" ? token.text : "";
    if (operandExpected) {
      if (NEVER_A_TYPE.has(text)) return at;
      parameters = text === "(" && looksLikeParameters(tokens, at);
      if (TYPE_PREFIXES.has(text) || /^[|&-]$/.test(text)) at++;
      else if (text === "<") at = skipAngles(tokens, pairs, at);
      else if (/^[({[]$/.test(text) || token.kind === "template" || isName) {
        at = skipOperand(tokens, pairs, at);
        operandExpected = false;
      } else return at;
    } else if (text === "<") at = skipAngles(tokens, pairs, at);
    else if (text === "[") at = (pairs.get(at) ?? at) + 1;
    else if (
      /^(\.|\||&|\?|is|extends)$/.test(text) || (text === "=>" && parameters) || (text === ":" && conditionals > 0)
    ) {
      conditionals += text === "?" ? 1 : text === ":" ? -1 : 0;
      at++;
      operandExpected = true;
    } else return at;
  }
}

/** Skips one name, bracketed group or template literal type. */
function skipOperand(tokens: Token[], pairs: Map<number, number>, start: number): number {
  let at = start;
  while (tokens[at]?.kind === "template" && pairs.has(at)) at = (pairs.get(at) ?? at) + 1;
  return (pairs.get(at) ?? at) + 1;
}

/** Whether the `(` at `open` begins the parameters of a function type, not a type in parentheses. */
function looksLikeParameters(tokens: Token[], open: number): boolean {
  const [first, second] = [tokens[open + 1]?.text ?? "", tokens[open + 2]?.text ?? ""];
  return first === ")" || first === "..." || second === ":" || second === "?";
}

function skipAngles(tokens: Token[], pairs: Map<number, number>, start: number): number {
  let depth = 0;
  for (let at = start; at < tokens.length; at = (pairs.get(at) ?? at) + 1) {
    if (tokens[at]?.text === "<") depth++;
    else if (tokens[at]?.text === ">" && --depth === 0) return at + 1;
  }
  return tokens.length;
}
