import type { ChatMessage, Reasoning, Tool } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { shapeAsText, type ShapedConversation, shapeNatively } from "./answer/conversation.ts";
import { ANALYSIS, type AnswerStart, HARMONY, HERMES } from "./answer/families.ts";
import { probeTemplate, type TemplateInput, type TemplateTraits } from "./answer/template_traits.ts";
import { FALLBACK_TEMPLATES } from "./fallback_templates.ts";
import { JinjaTemplate } from "./jinja_template.ts";
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
  /** The time for templates that print the date. Default: now. */
  clock?: () => Date;
}

/** A conversation to render: the fields of a chat request that make its prompt. */
export interface Conversation {
  messages: readonly ChatMessage[];
  /** The tools that are shown; none where they must not be called. */
  tools?: readonly Tool[];
  reasoning?: Reasoning;
}

/** A prompt, and how the answer to it begins. */
export interface RenderedPrompt {
  /** To be tokenized one by one: no special token reaches from one into the next. */
  pieces: string[];
  start: AnswerStart;
}

const AS_TEMPLATE_LIKES: Reasoning = { enabled: null, tokensMax: null };

/**
 * Renders conversations with a model's own template, after reshaping them to what that template can take: Copilot sends
 * several user messages in a row, and some templates insist on turns; many know no tools. What a template can take is
 * found out once, by trying, so that the same conversation is always rendered in the same way and its prefix stays
 * cached.
 */
export class ChatTemplate {
  readonly #template: JinjaTemplate;
  /** What the template is told when there are no tools: nothing, where it can take that. */
  readonly #noTools: Pick<TemplateInput, "tools">;
  /** What the template can take, and how its model thinks and calls. */
  readonly traits: TemplateTraits;

  /** @throws {DomainError} `invalid_model_file` when the template is not valid Jinja or renders no conversation at all. */
  constructor(private readonly source: ChatTemplateSource) {
    const text = source.template ?? FALLBACK_TEMPLATES.find(([special]) => source.hasSpecial(special))?.[1] ??
      FALLBACK_TEMPLATES[0]![1];
    try {
      this.#template = new JinjaTemplate(text, source.clock ?? (() => new Date()));
      this.#noTools = this.#findNoTools();
    } catch (cause) {
      throw new DomainError("invalid_model_file", `Cannot use the model's chat template: ${sentenceOf(cause)}`, {
        cause,
      });
    }
    this.traits = probeTemplate(text, (input) => this.#render({ ...this.#noTools, ...input }));
  }

  /**
   * Renders a conversation up to where the assistant begins to answer.
   *
   * @throws {DomainError} `invalid_request` when the template refuses the conversation.
   */
  render({ messages, tools = [], reasoning = AS_TEMPLATE_LIKES }: Conversation): RenderedPrompt {
    const options = { traits: this.traits, cut: (text: string) => this.source.specialTexts.cut(text) };
    const { native } = this.traits;
    if (native !== null) {
      try {
        const text = this.#renderShaped(shapeNatively({ messages, tools }, native, options), reasoning);
        return this.#start(text, reasoning, native.format);
      } catch {
        // Some templates refuse what others take, e.g. parameters without a description: texts are taken by all.
      }
    }
    try {
      const text = this.#renderShaped(shapeAsText({ messages, tools }, options), reasoning);
      return this.#start(text, reasoning, this.traits.thoughts === ANALYSIS ? HARMONY : HERMES);
    } catch (cause) {
      const message = `The model's chat template refuses these messages: ${sentenceOf(cause)}`;
      throw new DomainError("invalid_request", message, { param: "messages", cause });
    }
  }

  #renderShaped({ messages, tools }: ShapedConversation, reasoning: Reasoning): string {
    const enabled = wantsThoughts(reasoning);
    const effort = this.traits.thoughts === ANALYSIS ? findEffort(reasoning) : null;
    return this.#render({
      messages,
      ...(tools.length > 0 ? { tools } : this.#noTools),
      ...(enabled === null ? {} : { enable_thinking: enabled, thinking: enabled }),
      ...(effort === null ? {} : { reasoning_effort: effort }),
    });
  }

  #findNoTools(): Pick<TemplateInput, "tools"> {
    const messages = [{ role: "user", content: "u" }];
    try {
      this.#render({ messages });
      return {};
    } catch (cause) {
      // Templates that are for tools alone, such as Hermes's "tool_use", loop over them without asking.
      try {
        this.#render({ messages, tools: [] });
        return { tools: [] };
      } catch {
        throw cause;
      }
    }
  }

  /** Says how the answer begins, and ends the thoughts of models that cannot be told to leave them. */
  #start(text: string, reasoning: Reasoning, calls: AnswerStart["calls"]): RenderedPrompt {
    const { thoughts, reasons } = this.traits;
    const begin = (thought: AnswerStart["thought"], ending = "") => {
      return { pieces: SpecialTexts.pieces(text + ending), start: { calls, thoughts, thought } };
    };
    if (thoughts === null) return begin("closed");
    const end = text.trimEnd();
    const isOpen = end.endsWith(thoughts.open.trimEnd());
    if (end.endsWith(thoughts.close)) return begin("closed");
    if (!reasons) return begin("unlikely");
    if (wantsThoughts(reasoning) !== false) return begin(isOpen ? "open" : "free");
    return begin("closed", isOpen ? thoughts.empty.slice(thoughts.open.length) : thoughts.empty);
  }

  #render(input: TemplateInput): string {
    return this.#template.render({
      ...input,
      add_generation_prompt: true,
      bos_token: this.source.bosText,
      eos_token: this.source.eosText,
    });
  }
}

/** Whether the model of a chat template thinks before it answers; null stands for a model without one. */
export function findReasoning(template: string | null): boolean {
  if (template === null) return false;
  const specialTexts = new SpecialTexts([]);
  try {
    return new ChatTemplate({ template, bosText: "", eosText: "", specialTexts, hasSpecial: () => false }).traits
      .reasons;
  } catch {
    return false;
  }
}

/** A budget of nothing is no thought at all. Null leaves it to the template. */
function wantsThoughts({ enabled, tokensMax }: Reasoning): boolean | null {
  return tokensMax === 0 ? false : enabled;
}

/** The effort in which gpt-oss is told how long to think, by the tokens that it may take. */
function findEffort({ enabled, tokensMax }: Reasoning): "low" | "medium" | "high" | null {
  if (tokensMax !== null) return tokensMax <= 1_024 ? "low" : tokensMax <= 4_096 ? "medium" : "high";
  return enabled === null ? null : enabled ? "high" : "low";
}

function sentenceOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
