import type { ChatMessage, ChatRequest, Reasoning, Tool, ToolCall } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import type { RemoteDialect, RemoteModel } from "./remote_models.ts";

/** Where a request goes and what it says. */
export interface RemoteChat {
  path: "/v1/chat/completions" | "/v1/completions";
  body: Record<string, unknown>;
}

/**
 * Writes a request as the server's dialect of OpenAI's API has it. `cacheSalt` keeps what the server remembers of one
 * owner from others, where it can (vLLM).
 *
 * @throws {DomainError} `invalid_request` for a gap to be filled by a server that does not say that it can: most pass
 *   over `suffix` in silence and would answer something else.
 */
export function toRemoteChat(request: ChatRequest, model: RemoteModel, cacheSalt: string): RemoteChat {
  const common = {
    model: model.id,
    stream: true,
    stream_options: { include_usage: true },
    ...toSampling(request),
    ...(request.stop.length === 0 ? {} : { stop: request.stop }),
    ...(request.completionTokensMax === null ? {} : { max_tokens: request.completionTokensMax }),
    ...(model.dialect === "vllm" ? { cache_salt: cacheSalt } : {}),
  };
  if (request.prompt !== null) {
    const extras = {
      ...toSuffix(request, model),
      ...(request.logprobs === null ? {} : { logprobs: request.logprobs }),
    };
    return { path: "/v1/completions", body: { ...common, prompt: request.prompt, ...extras } };
  }
  const logprobs = request.logprobs === null ? {} : { logprobs: true, top_logprobs: request.logprobs };
  return {
    path: "/v1/chat/completions",
    body: {
      ...common,
      ...toConversation(request, model),
      ...logprobs,
      ...toTools(request, model.dialect),
      ...toFormat(request),
      ...toReasoning(request.reasoning, model.dialect),
    },
  };
}

/** What the request leaves to the engine is left to the server. */
function toSampling({ sampling }: ChatRequest): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    // llama-server's and Rookery's name of it, and vLLM's.
    repeat_penalty: sampling.repeatPenalty,
    repetition_penalty: sampling.repeatPenalty,
    seed: sampling.seed,
    logit_bias: Object.keys(sampling.logitBias).length === 0 ? null : sampling.logitBias,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function toSuffix({ suffix }: ChatRequest, { description }: RemoteModel): Record<string, unknown> {
  if (suffix === null) return {};
  if (description.capabilities.infill) return { suffix };
  const message =
    `The model "${description.id}" does not fill in gaps, or its server does not say so: leave suffix out`;
  throw new DomainError("invalid_request", message, { param: "suffix" });
}

/** The messages, with the beginning of the answer last where the server goes on from there. */
function toConversation({ messages, answerBeginning }: ChatRequest, { description, dialect }: RemoteModel): object {
  const told = toMessages(messages ?? []);
  if (answerBeginning === null) return { messages: told };
  const begun = [...told, { role: "assistant", content: answerBeginning }];
  // llama-server and Ollama do so unasked.
  if (dialect === "llama.cpp" || dialect === "ollama") return { messages: begun };
  if (dialect === "vllm") return { messages: begun, add_generation_prompt: false, continue_final_message: true };
  const message = `The server of "${description.id}" cannot continue an answer, or does not say so: ask for a new one`;
  throw new DomainError("invalid_request", message, { param: "answerBeginning" });
}

function toMessages(messages: readonly ChatMessage[]): object[] {
  const unanswered: string[] = [];
  return messages.map((message, at) => {
    const { role, content, reasoning, toolCalls = [], toolName } = message;
    if (role === "tool") {
      // Some clients name no call: then results answer calls in their order.
      const id = message.toolCallId ?? unanswered[0] ?? `call_${at}`;
      if (unanswered.includes(id)) unanswered.splice(unanswered.indexOf(id), 1);
      return { role, content, tool_call_id: id, ...(toolName === undefined ? {} : { name: toolName }) };
    }
    if (role !== "assistant") return { role, content };
    const calls = toolCalls.map((call, index) => toCall(call, `call_${at}_${index}`));
    if (calls.length > 0) unanswered.splice(0, Infinity, ...calls.map(({ id }) => id));
    return {
      role,
      content,
      ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    };
  });
}

function toCall({ id, name, arguments: text }: ToolCall, otherwise: string): { id: string } & Record<string, unknown> {
  return { id: id || otherwise, type: "function", function: { name, arguments: toJsonObject(text) } };
}

/** Servers read the arguments of past calls for their templates, and fail at what is no JSON object. */
function toJsonObject(text: string): string {
  if (text.trim() === "") return "{}";
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return text;
  } catch {
    // A model wrote it, and it is passed on as what it is: a text.
  }
  return JSON.stringify({ arguments: text });
}

function toTools({ tools, toolChoice, parallelToolCalls }: ChatRequest, dialect: RemoteDialect): object {
  if (tools.length === 0) return {};
  const many = { parallel_tool_calls: parallelToolCalls };
  if (typeof toolChoice === "string") return { tools: tools.map(toTool), tool_choice: toolChoice, ...many };
  const named = tools.filter(({ name }) => name === toolChoice.name);
  // llama-server takes a named choice for "auto"; with one tool, "required" is the same.
  if (dialect === "llama.cpp") return { tools: named.map(toTool), tool_choice: "required", ...many };
  const choice = { type: "function", function: { name: toolChoice.name } };
  return { tools: tools.map(toTool), tool_choice: choice, ...many };
}

function toTool({ name, description, parameters, strict }: Tool): object {
  const schema = typeof parameters === "boolean" ? { type: "object" } : parameters;
  return { type: "function", function: { name, description, parameters: schema, ...(strict ? { strict } : {}) } };
}

function toFormat({ format }: ChatRequest): object {
  if (format.type === "text") return {};
  if (format.type === "json") return { response_format: { type: "json_object" } };
  const { schema, strict } = format;
  return { response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict } } };
}

/** llama-server, vLLM and others take a template's variable; Ollama and Rookery an effort, which is a budget there. */
function toReasoning({ enabled, tokensMax }: Reasoning, dialect: RemoteDialect): object {
  if (dialect === "ollama" || dialect === "rookery") {
    const effort = toEffort({ enabled, tokensMax }, dialect);
    return effort === null ? {} : { reasoning_effort: effort };
  }
  return {
    ...(enabled === null ? {} : { chat_template_kwargs: { enable_thinking: enabled } }),
    ...(tokensMax === null || dialect !== "llama.cpp" ? {} : { thinking_budget_tokens: tokensMax }),
  };
}

function toEffort({ enabled, tokensMax }: Reasoning, dialect: RemoteDialect): string | null {
  if (enabled === false || tokensMax === 0) return "none";
  if (tokensMax === null) return enabled === null ? null : "high";
  if (tokensMax <= 256 && dialect === "rookery") return "minimal";
  if (tokensMax <= 1_024) return "low";
  return tokensMax <= 4_096 ? "medium" : "high";
}
