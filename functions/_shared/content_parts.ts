import { notServedError } from "./fields.ts";

/** Types of the parts that are text, in OpenAI's older API and in its newer one. Its clients mix them. */
const TEXT_TYPES = new Set(["text", "refusal", "input_text", "output_text", "reasoning_text", "summary_text"]);

/** Whether a content part of this type is a text. */
export function isTextPart(type: string): boolean {
  return TEXT_TYPES.has(type);
}

/** An `invalid_request` for a content part that is no text. */
export function unreadablePartError(type: string, { param, model }: { param: string; model: string }): Error {
  const what = /image/.test(type) ? "see images" : /audio/.test(type) ? "hear audio" : `read "${type}"`;
  return notServedError(param, `The model "${model}" cannot ${what}: send text alone, or take a model that can`);
}
