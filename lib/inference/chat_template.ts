import { Template } from "@huggingface/jinja";
import type { ChatMessage } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { SpecialTexts } from "./special_text.ts";

/** What {@linkcode ChatTemplate} takes from a model. */
export interface ChatTemplateSource {
  /** The Jinja text of the model file, or null when it has none. */
  template: string | null;
  /** How the beginning-of-sequence token is written, or an empty string. */
  bosText: string;
  eosText: string;
  specialTexts: SpecialTexts;
  /** Whether the model's vocabulary has a special token that is written so. */
  hasSpecial: (text: string) => boolean;
}

const CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/** For files without a template: formats that a vocabulary betrays by the special token that opens a turn. */
const TEMPLATES_BY_SPECIAL: readonly [special: string, template: string][] = [
  ["<|im_start|>", CHATML],
  [
    "<start_of_turn>",
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n" +
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
  ],
  [
    "<|start_header_id|>",
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}" +
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
  ],
];

/** Which conversations a template can render without refusing them or losing a message. */
interface TemplateTraits {
  system: boolean;
  lateSystem: boolean;
  tool: boolean;
  sameRoleInARow: boolean;
}

/**
 * Renders conversations with a model's own template, after reshaping them to what that template can take: Copilot sends
 * several user messages in a row, and some templates insist on turns. What a template can take is found out once, by
 * trying, so that the same conversation is always rendered in the same way and its prefix stays cached.
 */
export class ChatTemplate {
  readonly #template: Template;
  readonly #traits: TemplateTraits;

  /** @throws {DomainError} `invalid_model_file` when the template is not valid Jinja or renders no conversation at all. */
  constructor(private readonly source: ChatTemplateSource) {
    const text = source.template ?? TEMPLATES_BY_SPECIAL.find(([special]) => source.hasSpecial(special))?.[1] ?? CHATML;
    try {
      this.#template = new Template(text);
      this.#render([{ role: "user", content: "u" }]);
    } catch (cause) {
      throw new DomainError("invalid_model_file", `Cannot use the model's chat template: ${sentenceOf(cause)}`, {
        cause,
      });
    }
    this.#traits = this.#probe();
  }

  /**
   * Renders a conversation up to where the assistant begins to answer; the pieces are tokenized one by one.
   *
   * @throws {DomainError} `invalid_request` when the template refuses the conversation.
   */
  render(messages: readonly ChatMessage[]): string[] {
    const shaped = reshape(messages, this.#traits).map(({ role, content }) => ({
      role,
      content: this.source.specialTexts.cut(content),
    }));
    try {
      return SpecialTexts.pieces(this.#render(shaped));
    } catch (cause) {
      const message = `The model's chat template refuses these messages: ${sentenceOf(cause)}`;
      throw new DomainError("invalid_request", message, { param: "messages", cause });
    }
  }

  #render(messages: readonly ChatMessage[]): string {
    return this.#template.render({
      messages,
      add_generation_prompt: true,
      bos_token: this.source.bosText,
      eos_token: this.source.eosText,
    });
  }

  #probe(): TemplateTraits {
    const takes = (...roles: ChatMessage["role"][]) => {
      const messages = roles.map((role, i) => ({ role, content: `probe-${i}-probe` }));
      try {
        const text = this.#render(messages);
        return messages.every(({ content }) => text.includes(content));
      } catch {
        return false;
      }
    };
    return {
      system: takes("system", "user"),
      lateSystem: takes("user", "assistant", "system", "user"),
      tool: takes("user", "assistant", "tool"),
      sameRoleInARow: takes("user", "user") && takes("user", "assistant", "assistant", "user"),
    };
  }
}

/** Turns a conversation into one that a template with these traits renders whole; no word of it is lost. */
function reshape(messages: readonly ChatMessage[], traits: TemplateTraits): ChatMessage[] {
  const shaped: ChatMessage[] = [];
  for (const { role, content } of messages) {
    const isLate = shaped.some((earlier) => earlier.role !== "system");
    const last = shaped.at(-1);
    if (role === "system" && !isLate && last !== undefined) last.content += `\n\n${content}`;
    else if (role === "system" && isLate && !traits.lateSystem) shaped.push({ role: "user", content });
    else if (role === "tool" && !traits.tool) shaped.push({ role: "user", content });
    else shaped.push({ role, content });
  }
  if (!traits.system && shaped[0]?.role === "system") shaped[0].role = "user";
  return traits.sameRoleInARow && traits.system ? shaped : mergeNeighbours(shaped);
}

function mergeNeighbours(messages: readonly ChatMessage[]): ChatMessage[] {
  const merged: ChatMessage[] = [];
  for (const message of messages) {
    const last = merged.at(-1);
    if (last?.role === message.role) last.content += `\n\n${message.content}`;
    else merged.push(message);
  }
  return merged;
}

function sentenceOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
