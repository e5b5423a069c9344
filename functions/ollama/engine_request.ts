import type { ChatMessage, Reasoning } from "../../lib/contracts/chat.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import { DomainError } from "../../lib/errors.ts";
import type { AskedRequest } from "../_shared/answers.ts";
import { notServedError, toSampling, toStops } from "../_shared/fields.ts";
import { toReasoning } from "../_shared/reasoning.ts";
import { toTools } from "../_shared/tools.ts";
import { refuseImages, toChatMessages } from "./conversation.ts";
import { toKeepAliveMs } from "./keep_alive.ts";
import type { ChatBody, GenerateBody } from "./schemas.ts";

/**
 * Translates a body of `/api/chat` for the engine; null when it holds no message and only asks to load the model.
 *
 * @throws {DomainError} `invalid_request` for what `model` cannot do.
 */
export function toChatRequest(body: ChatBody, model: ModelDescription): AskedRequest | null {
  const messages = toChatMessages(body.messages ?? [], body.model);
  const settings = toSettings(body, model);
  if (messages.length === 0) return null;
  requireChat(body, model);
  const tools = toTools((body.tools ?? []).map((tool) => tool.function), (index) => `tools[${index}].function.name`);
  return { ...settings, messages, prompt: null, tools };
}

/**
 * Translates a body of `/api/generate` for the engine; null when it holds no prompt and only asks to load the model.
 *
 * @throws {DomainError} `invalid_request` for what this version or `model` cannot do.
 */
export function toGenerateRequest(body: GenerateBody, model: ModelDescription): AskedRequest | null {
  refuseImages(body.images, { param: "images", model: body.model });
  if (body.template) {
    throw notServedError("template", "Rookery uses the model's own template: leave template out, or send raw: true");
  }
  if (body.context?.length) {
    throw notServedError("context", "Rookery keeps no context of tokens: leave context out, or use /api/chat");
  }
  const settings = toSettings(body, model);
  const prompt = body.prompt ?? "";
  const suffix = body.suffix || null;
  if (prompt === "" && suffix === null) return null;
  requireChat(body, model);
  if (suffix !== null) {
    requireInfill(body, model);
    return { ...settings, messages: null, prompt, suffix };
  }
  if (body.raw) return { ...settings, messages: null, prompt };
  const messages: ChatMessage[] = [{ role: "user", content: prompt }];
  if (body.system) messages.unshift({ role: "system", content: body.system });
  return { ...settings, messages, prompt: null };
}

function toSettings(body: ChatBody | GenerateBody, model: ModelDescription): Omit<AskedRequest, "messages" | "prompt"> {
  const { num_predict: limit, seed, stop, ...sampling } = body.options ?? {};
  return {
    model: model.id,
    // Ollama's -1 asks for a fresh seed.
    sampling: toSampling({ ...sampling, seed: seed === -1 ? null : seed }),
    stop: toStops(stop, "options.stop"),
    completionTokensMax: typeof limit === "number" && limit > 0 ? limit : null,
    format: toFormat(body.format),
    reasoning: toThoughts(body, model),
    logprobs: body.logprobs ? body.top_logprobs ?? 0 : null,
    keepAliveMs: toKeepAliveMs(body.keep_alive),
  };
}

function toFormat(format: ChatBody["format"]): NonNullable<AskedRequest["format"]> {
  if (format === undefined || format === null || format === "") return { type: "text" };
  if (format === "json") return { type: "json" };
  return { type: "schema", schema: format, strict: false };
}

/** @throws {DomainError} `invalid_request` when a model is asked to think that cannot. */
function toThoughts({ think, model: name }: ChatBody | GenerateBody, model: ModelDescription): Reasoning {
  if (think === undefined || think === null || think === "") return toReasoning(null);
  if (think === false) return toReasoning("none");
  if (!model.capabilities.reasoning) {
    throw notServedError("think", `"${name}" does not support thinking: leave think out, or send false`);
  }
  return toReasoning(think === true ? "high" : think);
}

function requireChat({ model: name }: ChatBody | GenerateBody, { kind }: ModelDescription): void {
  if (kind === "chat") return;
  const message =
    `"${name}" does not support chat: it turns texts into vectors; ask it at /api/embed, or name a model ` +
    "that answers";
  throw new DomainError("invalid_request", message, { param: "model" });
}

function requireInfill({ model: name }: GenerateBody, { capabilities }: ModelDescription): void {
  if (capabilities.infill) return;
  throw notServedError("suffix", `"${name}" does not support insert: leave suffix out, or name a model that fills in`);
}
