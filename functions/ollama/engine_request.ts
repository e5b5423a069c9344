import type { ChatMessage } from "../../lib/contracts/chat.ts";
import type { AskedRequest } from "../_shared/answers.ts";
import { notServedError, toSampling, toStops } from "../_shared/fields.ts";
import { renderToolCalls } from "../_shared/tool_calls.ts";
import type { ChatBody, GenerateBody } from "./schemas.ts";

type EngineRequest = Omit<AskedRequest, "model">;

/**
 * Translates a body of `/api/chat` for the engine; null when it holds no message and only asks to load the model.
 *
 * @throws {DomainError} `invalid_request` for what this version or its model cannot serve.
 */
export function toChatRequest(body: ChatBody): EngineRequest | null {
  refuseUnserved(body);
  const messages = (body.messages ?? []).map((message, index): ChatMessage => {
    const param = `messages[${index}]`;
    refuseImages(message.images, `${param}.images`, body.model);
    const calls = (message.tool_calls ?? []).map((call) => call.function);
    return { role: message.role, content: renderToolCalls(message.content ?? "", calls) };
  });
  return messages.length === 0 ? null : { messages, prompt: null, ...toLimits(body) };
}

/**
 * Translates a body of `/api/generate` for the engine; null when it holds no prompt and only asks to load the model.
 *
 * @throws {DomainError} `invalid_request` for what this version or its model cannot serve.
 */
export function toGenerateRequest(body: GenerateBody): EngineRequest | null {
  refuseUnserved(body);
  refuseImages(body.images, "images", body.model);
  if (body.suffix) {
    throw notServedError("suffix", "This version of Rookery cannot fill in the middle yet: leave suffix out");
  }
  if (body.template) {
    throw notServedError("template", "Rookery uses the model's own template: leave template out, or send raw: true");
  }
  if (body.context?.length) {
    throw notServedError("context", "Rookery keeps no context of tokens: leave context out, or use /api/chat");
  }
  const prompt = body.prompt ?? "";
  if (prompt === "") return null;
  if (body.raw) return { messages: null, prompt, ...toLimits(body) };
  const messages: ChatMessage[] = [{ role: "user", content: prompt }];
  if (body.system) messages.unshift({ role: "system", content: body.system });
  return { messages, prompt: null, ...toLimits(body) };
}

function toLimits({ options }: ChatBody | GenerateBody): Omit<EngineRequest, "messages" | "prompt"> {
  const { num_predict: limit, seed, stop, ...sampling } = options ?? {};
  return {
    // Ollama's -1 asks for a fresh seed.
    sampling: toSampling({ ...sampling, seed: seed === -1 ? null : seed }),
    stop: toStops(stop, "options.stop"),
    completionTokensMax: typeof limit === "number" && limit > 0 ? limit : null,
  };
}

/** Refuses what would be answered wrongly if it were passed over in silence. */
function refuseUnserved({ format, think, model }: ChatBody | GenerateBody): void {
  if (format !== undefined && format !== null && format !== "") {
    throw notServedError("format", "This version of Rookery cannot force a format yet: leave format out");
  }
  if (think !== undefined && think !== null && think !== false) {
    throw notServedError("think", `The model "${model}" does not support thinking: leave think out, or send false`);
  }
}

function refuseImages(images: unknown[] | null | undefined, param: string, model: string): void {
  if (images === undefined || images === null || images.length === 0) return;
  throw notServedError(param, `The model "${model}" cannot see images: leave ${param} out`);
}
