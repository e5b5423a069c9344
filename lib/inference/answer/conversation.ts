import type { ChatMessage, Tool, ToolCall } from "../../contracts/chat.ts";
import { DomainError } from "../../errors.ts";
import { isDeep } from "../../schema/keywords.ts";
import { HERMES } from "./families.ts";
import {
  type NativeTools,
  shortId,
  type TemplateMessage,
  type TemplateTool,
  type TemplateTraits,
} from "./template_traits.ts";

/** A message on its way to a template. */
interface Turn {
  role: ChatMessage["role"];
  content: string;
  reasoning: string | null;
  calls: ToolCall[];
  /** Of a tool's message. */
  callId: string | null;
  toolName: string | null;
}

/** A conversation that a template takes as it stands. */
export interface ShapedConversation {
  messages: TemplateMessage[];
  tools: TemplateTool[];
}

/** What shaping a conversation needs to know beside it. */
export interface ShapeOptions {
  traits: TemplateTraits;
  /** Keeps special tokens out of a text; applied to every text that comes from a client, once. */
  cut: (text: string) => string;
}

/** Turns a conversation into one that a template which knows tools renders whole. */
export function shapeNatively(
  conversation: { messages: readonly ChatMessage[]; tools: readonly Tool[] },
  native: NativeTools,
  { traits, cut }: ShapeOptions,
): ShapedConversation {
  const turns = pairResults(conversation.messages);
  const singled = native.severalCalls ? turns : singleCalls(turns);
  const system = traits.system && native.systemBeforeResult;
  const reshaped = reshape(singled.flatMap((turn) => splitText(turn, native)), { ...traits, system });
  const shaped = mergeLateUsers(reshaped, native);
  const ids = new Map<string, string>();
  const toId = (id: string) => {
    if (!native.shortIds) return cut(id);
    if (!ids.has(id)) ids.set(id, shortId(ids.size + 1));
    return ids.get(id)!;
  };
  return {
    messages: shaped.map((turn) => toMessage(turn, { native, cut, toId })),
    tools: conversation.tools.map((tool) => toTemplateTool(tool, cut)),
  };
}

/**
 * Turns a conversation into one of texts alone, for templates that know no tools: the tools are told in the first
 * message, calls and results are written as the Hermes models learnt them.
 */
export function shapeAsText(
  conversation: { messages: readonly ChatMessage[]; tools: readonly Tool[] },
  { traits, cut }: ShapeOptions,
): ShapedConversation {
  const turns = pairResults(conversation.messages).map((turn) => ({
    ...turn,
    // The markers of calls are put in after the cutting: a model that has tokens for them shall see those.
    content: turn.role === "tool" ? writeResult(cut(turn.content)) : writeCalls(cut(turn.content), turn.calls, cut),
    calls: [],
  }));
  if (conversation.tools.length > 0) tellTools(turns, describeTools(conversation.tools, cut));
  const messages = reshape(turns, traits).map((turn) => toMessage(turn, { native: null, cut: same, toId: same }));
  return { messages, tools: [] };
}

function same(text: string): string {
  return text;
}

/** Gives every result the call that it answers: by its id, or when a client says none, by its place. */
function pairResults(messages: readonly ChatMessage[]): Turn[] {
  let open: ToolCall[] = [];
  return messages.map((message) => {
    const { role, content, reasoning = null, toolCalls: calls = [] } = message;
    if (calls.length > 0) open = [...calls];
    const turn: Turn = { role, content, reasoning, calls, callId: null, toolName: null };
    if (role !== "tool") return turn;
    const call = open.find(({ id }) => id === message.toolCallId) ??
      (message.toolCallId === undefined ? open[0] : null);
    open = open.filter((other) => other !== call);
    return {
      ...turn,
      callId: message.toolCallId ?? call?.id ?? null,
      toolName: message.toolName ?? call?.name ?? null,
    };
  });
}

/** Gives every call a message of its own, followed by its result, for templates that take one call in a message. */
function singleCalls(turns: readonly Turn[]): Turn[] {
  const singled: Turn[] = [];
  for (let i = 0; i < turns.length; i++) {
    const turn = turns[i]!;
    if (turn.calls.length < 2) {
      singled.push(turn);
      continue;
    }
    const results: Turn[] = [];
    while (turns[i + 1]?.role === "tool") results.push(turns[++i]!);
    turn.calls.forEach((call, place) => {
      const first = place === 0 ? turn : { ...turn, content: "", reasoning: null };
      singled.push({ ...first, calls: [call] });
      const at = results.findIndex(({ callId }) => callId === call.id);
      if (at >= 0) singled.push(...results.splice(at, 1));
    });
    singled.push(...results);
  }
  return singled;
}

/** Sets the text beside calls apart where a template would pass over it. Where it may not stand there either, it is lost. */
function splitText(turn: Turn, native: NativeTools): Turn[] {
  if (turn.calls.length === 0 || turn.content.trim() === "") return [turn];
  if (native.textBesideCalls) return [native.thoughtsBesideText ? turn : { ...turn, reasoning: null }];
  const calls = { ...turn, content: "" };
  return native.textBeforeCalls ? [{ ...turn, calls: [] }, { ...calls, reasoning: null }] : [calls];
}

/** Appends what a user says right after a result to that result, where a template insists on an answer between them. */
function mergeLateUsers(turns: readonly Turn[], native: NativeTools): Turn[] {
  if (native.userAfterResult) return [...turns];
  const merged: Turn[] = [];
  for (const turn of turns) {
    const last = merged.at(-1);
    if (turn.role === "user" && last?.role === "tool") last.content += `\n\n${turn.content}`;
    else merged.push({ ...turn });
  }
  return merged;
}

/** Turns a conversation into one that a template with these traits renders whole; no word of it is lost. */
function reshape(turns: readonly Turn[], traits: TemplateTraits): Turn[] {
  const takesResults = traits.tool || turns.some(({ calls }) => calls.length > 0);
  const shaped: Turn[] = [];
  for (const turn of turns) {
    const isLate = shaped.some((earlier) => earlier.role !== "system");
    const last = shaped.at(-1);
    if (turn.role === "system" && !isLate && last !== undefined) last.content += `\n\n${turn.content}`;
    else if (turn.role === "system" && isLate && !traits.lateSystem) shaped.push({ ...turn, role: "user" });
    else if (turn.role === "tool" && !takesResults) shaped.push({ ...turn, role: "user" });
    else shaped.push({ ...turn });
  }
  if (!traits.system && shaped[0]?.role === "system") shaped[0].role = "user";
  return traits.sameRoleInARow && traits.system ? shaped : mergeNeighbours(shaped);
}

function mergeNeighbours(turns: readonly Turn[]): Turn[] {
  const merged: Turn[] = [];
  for (const turn of turns) {
    const last = merged.at(-1);
    const stands = last?.role !== turn.role || turn.role === "tool" || turn.calls.length > 0 || last.calls.length > 0;
    if (stands) merged.push(turn);
    else last.content += `\n\n${turn.content}`;
  }
  return merged;
}

function toMessage(
  turn: Turn,
  { native, cut, toId }: { native: NativeTools | null; cut: (text: string) => string; toId: (id: string) => string },
): TemplateMessage {
  const message: TemplateMessage = { role: turn.role, content: cut(turn.content) };
  if (turn.reasoning !== null && turn.role === "assistant") {
    message.reasoning_content = cut(turn.reasoning);
    message.thinking = message.reasoning_content;
  }
  if (turn.calls.length > 0 && native !== null) {
    message.tool_calls = turn.calls.map(({ id, name, arguments: text }) => ({
      id: toId(id),
      type: "function",
      function: {
        name: cut(name),
        arguments: native.arguments === "string" ? cutJson(text, cut) : parseArguments(text, cut),
      },
    }));
  }
  if (turn.role === "tool" && turn.callId !== null) message.tool_call_id = toId(turn.callId);
  if (turn.role === "tool" && turn.toolName !== null) message.name = cut(turn.toolName);
  return message;
}

/** A call's arguments as JSON text; some clients send nothing for none. */
function cutJson(text: string, cut: (text: string) => string): string {
  return text.trim() === "" ? "{}" : cut(text);
}

/** A call's arguments as a template's object. What is no JSON stays readable. */
function parseArguments(text: string, cut: (text: string) => string): unknown {
  if (text.trim() === "") return {};
  try {
    const value = JSON.parse(text);
    return isDeep(value, DEPTH_MAX) ? { arguments: cut(text) } : cutDeep(value, cut);
  } catch {
    return { arguments: cut(text) };
  }
}

/** Deepest values that templates are given: they, and what cuts texts within, go down once a level. */
const DEPTH_MAX = 500;

/** Cuts every text within a value, keys too. */
function cutDeep(value: unknown, cut: (text: string) => string): unknown {
  if (typeof value === "string") return cut(value);
  if (Array.isArray(value)) return value.map((item) => cutDeep(item, cut));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [cut(key), cutDeep(item, cut)]));
}

/**
 * A tool in OpenAI's shape. Templates read `properties` without asking whether they are there.
 *
 * @throws {DomainError} `invalid_request` for parameters that nest too deeply.
 */
function toTemplateTool({ name, description, parameters }: Tool, cut: (text: string) => string): TemplateTool {
  if (isDeep(parameters, DEPTH_MAX)) {
    const message = `the parameters of the tool "${name}" nest deeper than ${DEPTH_MAX} levels`;
    throw new DomainError("invalid_request", message, { param: "tools" });
  }
  const schema = typeof parameters === "boolean" ? {} : cutDeep(parameters, cut) as Record<string, unknown>;
  return {
    type: "function",
    function: {
      name: cut(name),
      description: cut(description),
      parameters: { type: "object", properties: {}, ...schema },
    },
  };
}

function describeTools(tools: readonly Tool[], cut: (text: string) => string): string {
  const lines = tools.map((tool) => JSON.stringify(toTemplateTool(tool, cut)));
  return "# Tools\n\nThese functions can be called; each line describes one:\n<tools>\n" + lines.join("\n") +
    "\n</tools>\n\n" +
    "To call a function, write its name and its arguments as JSON between these tags, and wait for the response:\n" +
    "<tool_call>\n" + '{"name": "the function\'s name", "arguments": {"an argument\'s name": "its value"}}' +
    "\n</tool_call>\n\n" +
    "Call a function only when it helps; otherwise answer in plain words.";
}

/** Puts the description of tools where it never moves: behind what the system says first. */
function tellTools(turns: Turn[], description: string): void {
  let leading = 0;
  while (turns[leading]?.role === "system") leading++;
  const system = turns[leading - 1];
  if (system !== undefined) system.content += `\n\n${description}`;
  else {turns.unshift({
      role: "system",
      content: description,
      reasoning: null,
      calls: [],
      callId: null,
      toolName: null,
    });}
}

function writeCalls(content: string, calls: readonly ToolCall[], cut: (text: string) => string): string {
  const written = calls.map(({ name, arguments: text }) =>
    HERMES.marker + HERMES.begin + HERMES.head + cut(JSON.stringify(name).slice(1, -1)) + HERMES.middle +
    cutJson(text, cut) + HERMES.close
  );
  return [...(content === "" ? [] : [content]), ...written].join("\n");
}

function writeResult(content: string): string {
  return `<tool_response>\n${content}\n</tool_response>`;
}
