import type { LlamaModel, Token } from "node-llama-cpp";
import type { ChatMessage, ChatRequest } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { ANALYSIS, type AnswerStart, HARMONY_FINAL } from "./answer/families.ts";
import type { TemplateTraits } from "./answer/template_traits.ts";
import { ChatTemplate, type RenderedPrompt } from "./chat_template.ts";
import { SpecialTexts } from "./special_text.ts";

/** Longer pieces are tokenized part by part, so that the process stays awake between the parts. */
const PART_LENGTH = 65_536;

/** A prompt as the model reads it. */
export interface EncodedPrompt {
  tokens: number[];
  /** How the answer begins; null behind a raw prompt, whose answer is plain text. */
  start: AnswerStart | null;
}

/** A model's tokenizer and chat template; a load of the vocabulary alone is enough for it. */
export class LlamaVocabulary {
  readonly #template: ChatTemplate;
  readonly #specialTexts: SpecialTexts;
  #tokenLengthMax: number | null = null;

  /** @throws {DomainError} `invalid_model_file` when the model's chat template cannot be used. */
  constructor(private readonly model: LlamaModel, template: string | null) {
    const special = new Set<string>();
    for (const token of model.iterateAllTokens()) {
      if (model.getTokenAttributes(token).control) special.add(model.detokenize([token], true));
    }
    this.#specialTexts = new SpecialTexts(special);
    this.#template = new ChatTemplate({
      template,
      bosText: model.tokens.bosString ?? "",
      eosText: model.tokens.eosString ?? "",
      specialTexts: this.#specialTexts,
      hasSpecial: (text) => special.has(text),
    });
  }

  /** Tokens of `text` as somebody wrote it: special tokens in it are plain text. */
  async tokenize(text: string): Promise<number[]> {
    return await this.#encode(SpecialTexts.pieces(this.#specialTexts.cut(text)));
  }

  /** How a control token is written, or null for any other token. */
  spellControl(token: number): string | null {
    if (!this.model.getTokenAttributes(token as Token).control) return null;
    return this.model.detokenize([token as Token], true);
  }

  /** Tokens of a text that may hold control tokens written out. */
  encodeSpecial(text: string): number[] {
    return this.model.tokenize(text, true);
  }

  /** Text of `tokens`, which follow on `before`; special tokens have none. */
  detokenize(tokens: readonly number[], before: readonly number[]): string {
    return this.model.detokenize(tokens as Token[], false, before as Token[]);
  }

  /** What the model's template can take, and how its model thinks and calls. */
  get traits(): TemplateTraits {
    return this.#template.traits;
  }

  /**
   * Tokens of a whole prompt, at least one, and how the answer to it begins: null behind a raw prompt.
   *
   * @throws {DomainError} `context_length_exceeded` with both numbers when no answer would fit behind it;
   *   `invalid_request` when it is empty or the chat template refuses it.
   */
  async encodePrompt(request: ChatRequest, contextTokensMax: number): Promise<EncodedPrompt> {
    this.#refuseHuge(request, contextTokensMax);
    // A raw prompt is taken as it is: whoever sends one writes special tokens on purpose.
    const { pieces, start } = request.messages === null
      ? { pieces: [request.prompt ?? ""], start: null }
      : this.#renderConversation(request, request.messages);
    const tokens = await this.#encode(pieces);
    const { bos, shouldPrependBosToken } = this.model.tokens;
    if (shouldPrependBosToken && bos !== null && tokens[0] !== bos) tokens.unshift(bos);
    if (tokens.length === 0) throw new DomainError("invalid_request", "The prompt is empty", { param: "prompt" });
    if (tokens.length >= contextTokensMax) throw contextExceeded(`${tokens.length}`, contextTokensMax);
    return { tokens, start };
  }

  #renderConversation(request: ChatRequest, messages: readonly ChatMessage[]): RenderedPrompt {
    const { answerBeginning, toolChoice } = request;
    const tools = toolChoice === "none" ? [] : request.tools;
    if (answerBeginning === null) return this.#template.render({ messages, tools, reasoning: request.reasoning });
    // Thoughts come before an answer's text, which has begun.
    const { pieces, start } = this.#template.render({
      messages,
      tools,
      reasoning: { enabled: false, tokensMax: null },
    });
    const opening = start.thoughts === ANALYSIS ? HARMONY_FINAL : "";
    const beginning = SpecialTexts.pieces(opening + this.#specialTexts.cut(answerBeginning));
    return { pieces: [...pieces, ...beginning], start };
  }

  /** Refuses, before any work, what cannot fit however it is tokenized. */
  #refuseHuge(request: ChatRequest, contextTokensMax: number): void {
    const length = request.messages === null ? request.prompt?.length ?? 0 : countCharacters(request.messages, request);
    // Nearly every request ends here: a token of more than 16 characters is rare.
    if (length < contextTokensMax * 16) return;
    const tokensMin = Math.ceil(length / this.#findTokenLengthMax());
    if (tokensMin >= contextTokensMax) throw contextExceeded(`at least ${tokensMin}`, contextTokensMax);
  }

  /** Characters of the longest token: a text of n times as many has n tokens at least. */
  #findTokenLengthMax(): number {
    if (this.#tokenLengthMax === null) {
      let longest = 1;
      for (const token of this.model.iterateAllTokens()) {
        longest = Math.max(longest, this.model.detokenize([token], true).length);
      }
      this.#tokenLengthMax = longest;
    }
    return this.#tokenLengthMax;
  }

  async #encode(pieces: readonly string[]): Promise<number[]> {
    const tokens: number[] = [];
    for (const piece of pieces) {
      for (const part of this.#specialTexts.parts(piece, PART_LENGTH)) {
        for (const token of this.model.tokenize(part, true)) tokens.push(token);
        if (part.length >= PART_LENGTH) await new Promise((resolve) => setTimeout(resolve));
      }
    }
    return tokens;
  }
}

/** Characters that every template shows: those of calls, thoughts and schemas some leave out or write in another way. */
function countCharacters(
  messages: readonly ChatMessage[],
  { tools, toolChoice, answerBeginning }: ChatRequest,
): number {
  const shown = toolChoice === "none" ? [] : tools;
  return messages.reduce((sum, { content }) => sum + content.length, answerBeginning?.length ?? 0) +
    shown.reduce((sum, { name, description }) => sum + name.length + description.length, 0);
}

function contextExceeded(promptTokens: string, contextTokensMax: number): DomainError {
  return new DomainError(
    "context_length_exceeded",
    `The prompt has ${promptTokens} tokens, but the context that is served holds ${contextTokensMax} with the answer; ` +
      `shorten the conversation, or raise ROOKERY_CONTEXT if the model allows`,
    { param: "messages", details: { promptTokens, contextTokensMax } },
  );
}
