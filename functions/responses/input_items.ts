import type { ChatMessage } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { isTextPart, unreadablePartError } from "../_shared/content_parts.ts";
import { notServedError } from "../_shared/fields.ts";
import type { InputContent, InputItem } from "./body.ts";

/**
 * Puts the items of an input together as messages: what an assistant thought, said and called in one turn is several
 * items here and one message for a model.
 *
 * @throws {DomainError} `invalid_request` that names the item, or the part of it, which `model` cannot take.
 */
export function toMessages(items: readonly InputItem[], model: string): ChatMessage[] {
  const conversation = new Conversation(model);
  items.forEach((item, index) => conversation.add(item, `input[${index}]`));
  return conversation.messages;
}

class Conversation {
  readonly messages: ChatMessage[] = [];
  readonly #model: string;
  /** The assistant's turn that more items may belong to. */
  #turn: ChatMessage | null = null;
  /** Names of functions by the ids of their calls. */
  readonly #names = new Map<string, string>();

  constructor(model: string) {
    this.#model = model;
  }

  add(item: InputItem, param: string): void {
    const type = item.type ?? "message";
    if (type === "message") return this.#addMessage(item, param);
    if (type === "reasoning") return this.#addReasoning(item, param);
    if (type === "function_call") return this.#addCall(item, param);
    if (type === "function_call_output") return this.#addOutput(item, param);
    const what = type === "item_reference"
      ? "Rookery keeps no items: send the item itself, as clients do with store: false"
      : "send messages, function calls and their outputs alone";
    throw notServedError(`${param}.type`, `Cannot take an item of type "${type}": ${what}`);
  }

  #addMessage(item: InputItem, param: string): void {
    const role = requireField(item.role, `${param}.role`);
    const content = this.#toText(requireField(item.content, `${param}.content`), `${param}.content`);
    if (role !== "assistant") {
      this.#turn = null;
      this.messages.push({ role: role === "user" ? "user" : "system", content });
      return;
    }
    const turn = this.#turn?.content === "" && this.#turn.toolCalls === undefined ? this.#turn : this.#begin();
    turn.content = content;
  }

  #addReasoning(item: InputItem, param: string): void {
    const text = this.#toText(item.content ?? item.summary ?? "", param);
    // What another server has encrypted says nothing to a model here.
    if (text !== "") this.#begin().reasoning = text;
  }

  #addCall(item: InputItem, param: string): void {
    const id = requireField(item.call_id, `${param}.call_id`);
    const name = requireField(item.name, `${param}.name`);
    const turn = this.#turn ?? this.#begin();
    turn.toolCalls ??= [];
    turn.toolCalls.push({ id, name, arguments: requireField(item.arguments, `${param}.arguments`) });
    this.#names.set(id, name);
  }

  #addOutput(item: InputItem, param: string): void {
    const toolCallId = requireField(item.call_id, `${param}.call_id`);
    const content = this.#toText(requireField(item.output, `${param}.output`), `${param}.output`);
    const toolName = this.#names.get(toolCallId);
    this.#turn = null;
    this.messages.push({ role: "tool", content, toolCallId, ...(toolName === undefined ? {} : { toolName }) });
  }

  #begin(): ChatMessage {
    this.#turn = { role: "assistant", content: "" };
    this.messages.push(this.#turn);
    return this.#turn;
  }

  #toText(content: InputContent, param: string): string {
    if (typeof content === "string") return content;
    return content.map(({ type, text, refusal }, index) => {
      const place = `${param}[${index}]`;
      if (isTextPart(type)) return requireField(text ?? refusal, `${place}.text`);
      throw unreadablePartError(type, { param: place, model: this.#model });
    }).join("\n");
  }
}

function requireField<Value>(value: Value | null | undefined, param: string): Value {
  if (value !== null && value !== undefined) return value;
  throw new DomainError("invalid_request", `Invalid value of "${param}": it is missing`, { param });
}
