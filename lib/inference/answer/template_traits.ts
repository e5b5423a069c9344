import {
  ANALYSIS,
  type CallFormat,
  findCallFormat,
  findThoughtFormat,
  PROBE_CALL,
  type ThoughtFormat,
} from "./families.ts";

/** A message as templates know it: OpenAI's shape, which transformers' `apply_chat_template` takes too. */
export interface TemplateMessage {
  role: string;
  content: string;
  reasoning_content?: string;
  /** Another name for the same. */
  thinking?: string;
  tool_calls?: { id: string; type: "function"; function: { name: string; arguments: unknown } }[];
  tool_call_id?: string;
  name?: string;
}

/** A tool as templates know it. */
export interface TemplateTool {
  type: "function";
  function: { name: string; description: string; parameters: Record<string, unknown> };
}

/** What a template is rendered with, beside what is the same every time. */
export interface TemplateInput {
  messages: readonly TemplateMessage[];
  /** Absent when there are none: some templates ask whether they are defined. */
  tools?: readonly TemplateTool[];
  enable_thinking?: boolean;
  thinking?: boolean;
  reasoning_effort?: string;
}

/** How a template takes tools that it knows. */
export interface NativeTools {
  readonly format: CallFormat;
  /** What it wants a call's arguments to be. */
  readonly arguments: "object" | "string";
  /** Several calls may stand in one message. */
  readonly severalCalls: boolean;
  /** It renders the text of a message that calls. */
  readonly textBesideCalls: boolean;
  /** That text may be a message of its own before the calls. */
  readonly textBeforeCalls: boolean;
  /** A user may speak right after a tool's result. */
  readonly userAfterResult: boolean;
  /** It keeps a system message when a result is the last message. */
  readonly systemBeforeResult: boolean;
  /** A message that calls may have thoughts and text at once. */
  readonly thoughtsBesideText: boolean;
  /** It insists on ids of nine letters and digits, as Mistral's do. */
  readonly shortIds: boolean;
}

/** Which conversations a template can render without refusing them or losing a message. */
export interface TemplateTraits {
  readonly system: boolean;
  readonly lateSystem: boolean;
  /** It renders a tool's message, though perhaps no tools. */
  readonly tool: boolean;
  readonly sameRoleInARow: boolean;
  /** Null when it does not show tools, calls and results in a format that is known: they are described as text then. */
  readonly native: NativeTools | null;
  /** Null when it knows no thoughts, not even of earlier turns. */
  readonly thoughts: ThoughtFormat | null;
  /** Its model thinks: what it renders for a new turn has a place for thoughts, or can be told to have none. */
  readonly reasons: boolean;
}

type Render = (input: TemplateInput) => string;

const PROBE_TOOL: TemplateTool = {
  type: "function",
  function: {
    name: PROBE_CALL.name,
    description: "probe-description",
    parameters: {
      type: "object",
      properties: { [PROBE_CALL.key]: { type: "string", description: "probe-parameter" } },
      required: [PROBE_CALL.key],
    },
  },
};

/** Finds out by trying, with short conversations, what a template can render. */
export function probeTemplate(text: string, render: Render): TemplateTraits {
  const takesRoles = (...roles: string[]) =>
    rendersAll(render, { messages: roles.map((role, i) => ({ role, content: `probe-${i}-probe` })) });
  const thoughts = findThoughtFormat(text);
  return {
    system: takesRoles("system", "user"),
    lateSystem: takesRoles("user", "assistant", "system", "user"),
    tool: takesRoles("user", "assistant", "tool"),
    sameRoleInARow: takesRoles("user", "user") && takesRoles("user", "assistant", "assistant", "user"),
    native: probeTools(render),
    thoughts,
    reasons: thoughts !== null && renderReasons(render, thoughts),
  };
}

/**
 * Many templates write the thoughts of earlier turns, those of Qwen's instruct models too, which never think: what counts
 * is the turn to come.
 */
function renderReasons(render: Render, thoughts: ThoughtFormat): boolean {
  if (thoughts === ANALYSIS) return true;
  const ask = (variables: Partial<TemplateInput>) => tryRender(render, { messages: [user(1)], ...variables });
  const on = ask({ enable_thinking: true, thinking: true });
  const off = ask({ enable_thinking: false, thinking: false });
  return on !== off || (ask({})?.includes(thoughts.open.trimEnd()) ?? false);
}

/** Tries, in turn, arguments as text and as an object, and ids long and short. */
function probeTools(render: Render): NativeTools | null {
  for (const shortIds of [false, true]) {
    for (const kind of ["string", "object"] as const) {
      const probe = new ToolProbe(render, kind, shortIds);
      const format = probe.findFormat();
      if (format !== null) return { format, arguments: kind, shortIds, ...probe.findHabits() };
    }
  }
  return null;
}

/** Conversations with calls, written in one of the ways that a template may insist on. */
class ToolProbe {
  constructor(
    private readonly render: Render,
    private readonly kind: "string" | "object",
    private readonly shortIds: boolean,
  ) {}

  findFormat(): CallFormat | null {
    const input = { tools: [PROBE_TOOL], messages: [user(1), this.#calls(1), this.#result(1)] };
    const text = tryRender(this.render, input);
    const shown = ["probe-description", PROBE_CALL.key, "probe-result-1", "probe-user-1"];
    return text !== null && shown.every((word) => text.includes(word)) ? findCallFormat(text) : null;
  }

  findHabits(): Omit<NativeTools, "format" | "arguments" | "shortIds"> {
    const takes = (...messages: TemplateMessage[]) => rendersAll(this.render, { tools: [PROBE_TOOL], messages });
    const results = [this.#result(1), this.#result(2)];
    const answer = { role: "assistant", content: "probe-answer" };
    const text = { role: "assistant", content: "probe-text" };
    const system = { role: "system", content: "probe-system" };
    const thoughtful = { content: "p", reasoning_content: "probe-thought", thinking: "probe-thought" };
    return {
      severalCalls: takes(user(1), this.#calls(2), ...results),
      textBesideCalls: takes(user(1), { ...this.#calls(1), content: "probe-beside" }, this.#result(1)),
      textBeforeCalls: takes(user(1), text, this.#calls(1), this.#result(1), answer, user(2)),
      userAfterResult: takes(user(1), this.#calls(1), this.#result(1), user(2)),
      systemBeforeResult: takes(system, user(1), this.#calls(1), this.#result(1)),
      thoughtsBesideText: takes(user(1), { ...this.#calls(1), ...thoughtful }, this.#result(1)),
    };
  }

  #calls(count: number): TemplateMessage {
    const calls = Array.from({ length: count }, (_, i) => {
      // The first is the call by which a format is known.
      const args = i === 0 ? { [PROBE_CALL.key]: PROBE_CALL.value } : { [PROBE_CALL.key]: `${PROBE_CALL.value}-${i}` };
      const made = { name: PROBE_CALL.name, arguments: this.kind === "object" ? args : JSON.stringify(args) };
      return { id: this.#id(i + 1), type: "function" as const, function: made };
    });
    return { role: "assistant", content: "", tool_calls: calls };
  }

  #result(number: number): TemplateMessage {
    const id = this.#id(number);
    return { role: "tool", content: `probe-result-${number}`, tool_call_id: id, name: PROBE_CALL.name };
  }

  #id(number: number): string {
    return this.shortIds ? shortId(number) : `call_probe_${number}`;
  }
}

/** An id of nine letters and digits for the n-th call of a conversation. */
export function shortId(number: number): string {
  return `call${String(number).padStart(5, "0")}`;
}

function user(number: number): TemplateMessage {
  return { role: "user", content: `probe-user-${number}` };
}

function rendersAll(render: Render, input: TemplateInput): boolean {
  const text = tryRender(render, input);
  if (text === null) return false;
  return input.messages.every(({ content, tool_calls }) => {
    const last = tool_calls?.at(-1);
    const word = last === undefined || tool_calls!.length === 1 ? "" : `${PROBE_CALL.value}-${tool_calls!.length - 1}`;
    return text.includes(content) && text.includes(word);
  });
}

function tryRender(render: Render, input: TemplateInput): string | null {
  try {
    return render(input);
  } catch {
    return null;
  }
}
