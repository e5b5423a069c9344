/** How a family of models writes calls of tools. Literals are as its template writes them; white space in them is free. */
export interface CallFormat {
  readonly id: "hermes" | "qwen-xml" | "llama3" | "mistral-list" | "mistral-args" | "harmony";
  /** What opens a call wherever it stands; empty where a call is known only by being the answer's beginning. */
  readonly marker: string;
  /** What follows on the marker, once, before the first call. */
  readonly begin: string;
  /** Between there and a call's name. */
  readonly head: string;
  /** Other ways to write the head that are read, but never asked for. */
  readonly otherHeads: readonly string[];
  /** Between a name and its arguments. Its first character ends the name. */
  readonly middle: string;
  /** A JSON object, or `<parameter=name>` elements up to `</function>`. */
  readonly arguments: "json" | "xml";
  readonly close: string;
  /** Between two calls; null when one answer holds one call. */
  readonly separator: string | null;
  /** After the last call. */
  readonly end: string;
}

/** Nous Research's format, which Qwen, Granite and many small models learnt: the one for models that know none. */
export const HERMES: CallFormat = {
  id: "hermes",
  marker: "<tool_call>",
  begin: "\n",
  head: '{"name": "',
  otherHeads: [],
  middle: '", "arguments": ',
  arguments: "json",
  close: "}\n</tool_call>",
  separator: "\n<tool_call>\n",
  end: "",
};

const QWEN_XML: CallFormat = {
  id: "qwen-xml",
  marker: "<tool_call>",
  begin: "\n",
  head: "<function=",
  otherHeads: [],
  middle: ">\n",
  arguments: "xml",
  close: "\n</tool_call>",
  separator: "\n<tool_call>\n",
  end: "",
};

const LLAMA3: CallFormat = {
  id: "llama3",
  marker: "",
  begin: "",
  head: '{"name": "',
  otherHeads: ['{"type": "function", "name": "'],
  middle: '", "parameters": ',
  arguments: "json",
  close: "}",
  separator: null,
  end: "",
};

const MISTRAL_LIST: CallFormat = {
  id: "mistral-list",
  marker: "[TOOL_CALLS]",
  begin: "[",
  head: '{"name": "',
  otherHeads: [],
  middle: '", "arguments": ',
  arguments: "json",
  close: "}",
  separator: ", ",
  end: "]",
};

const MISTRAL_ARGS: CallFormat = {
  id: "mistral-args",
  marker: "[TOOL_CALLS]",
  begin: "",
  head: "",
  otherHeads: [],
  middle: "[ARGS]",
  arguments: "json",
  close: "",
  separator: "[TOOL_CALLS]",
  end: "",
};

/** OpenAI's response format of gpt-oss; its markers stand in headers, which a reader of its own reads. */
export const HARMONY: CallFormat = {
  id: "harmony",
  marker: " to=functions.",
  begin: "",
  head: "",
  otherHeads: [],
  middle: " <|constrain|>json<|message|>",
  arguments: "json",
  close: "",
  separator: null,
  end: "",
};

/** What is called to see how a template writes a call; no tool of anybody's is named so. */
export const PROBE_CALL = { name: "probe_tool", key: "probe_key", value: "probe-value" };

const ARGUMENTS = String.raw`\{"probe_key": ?"probe-value"\}`;

/** The formats by what a template makes of {@linkcode PROBE_CALL}; the first that is found is the template's. */
const RENDERED: readonly [format: CallFormat, pattern: RegExp][] = [
  [HERMES, new RegExp(String.raw`<tool_call>\s*\{"name": ?"probe_tool", ?"arguments": ?${ARGUMENTS}\}\s*</tool_call>`)],
  [QWEN_XML, /<tool_call>\s*<function=probe_tool>\s*<parameter=probe_key>\nprobe-value\n<\/parameter>\s*<\/function>/],
  [MISTRAL_LIST, new RegExp(String.raw`\[TOOL_CALLS\] ?\[\{"name": ?"probe_tool", ?"arguments": ?${ARGUMENTS}`)],
  [MISTRAL_ARGS, new RegExp(String.raw`\[TOOL_CALLS\]probe_tool(\[CALL_ID\]\w+)?\[ARGS\]${ARGUMENTS}`)],
  [HARMONY, new RegExp(String.raw`to=functions\.probe_tool[^{]*<\|message\|>${ARGUMENTS}<\|call\|>`)],
  [LLAMA3, new RegExp(String.raw`\{"name": ?"probe_tool", ?"parameters": ?${ARGUMENTS}\}`)],
];

/** The format in which a template wrote the call of {@linkcode PROBE_CALL}, or null when it is none of those known. */
export function findCallFormat(rendered: string): CallFormat | null {
  return RENDERED.find(([, pattern]) => pattern.test(rendered))?.[0] ?? null;
}

/** How a family writes what it thinks before it answers. */
export interface ThoughtFormat {
  readonly open: string;
  readonly close: string;
  /** A prompt that ends so makes the model answer without a thought. */
  readonly empty: string;
}

const THINK: ThoughtFormat = { open: "<think>", close: "</think>", empty: "<think>\n\n</think>\n\n" };
const THINK_IN_BRACKETS: ThoughtFormat = { open: "[THINK]", close: "[/THINK]", empty: "[THINK][/THINK]" };
/** Gemma 4's. */
const THOUGHT_CHANNEL: ThoughtFormat = {
  open: "<|channel>thought\n",
  close: "<channel|>",
  empty: "<|channel>thought\n<channel|>",
};

/** The thoughts of gpt-oss: a channel of their own. */
export const ANALYSIS: ThoughtFormat = {
  open: "<|channel|>analysis<|message|>",
  close: "<|end|>",
  empty: "<|channel|>analysis<|message|><|end|><|start|>assistant",
};

/** How gpt-oss begins a call, up to the function's name. */
export const HARMONY_CALL = "<|channel|>commentary to=functions.";
/** How gpt-oss begins an answer, up to its text. */
export const HARMONY_FINAL = "<|channel|>final<|message|>";

/** The thoughts that a template's text speaks of, or null when it knows none. */
export function findThoughtFormat(template: string): ThoughtFormat | null {
  if (template.includes("<|channel|>analysis")) return ANALYSIS;
  return [THINK, THINK_IN_BRACKETS, THOUGHT_CHANNEL].find(({ close }) => template.includes(close)) ?? null;
}

/** What the end of a prompt says of the answer that follows on it. */
export interface AnswerStart {
  readonly calls: CallFormat;
  /** Null when the model's template knows no thoughts. */
  readonly thoughts: ThoughtFormat | null;
  /**
   * `open`: the prompt began a thought that the answer goes on with. `free`: the model may begin one. `unlikely`: it was
   * not made to think, but its template knows thoughts of earlier turns; one is read as such, but none is waited for.
   * `closed`: there is none to come.
   */
  readonly thought: "open" | "free" | "unlikely" | "closed";
}
