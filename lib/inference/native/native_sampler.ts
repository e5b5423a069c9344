import type { Sampling } from "../../contracts/chat.ts";
import { DomainError } from "../../errors.ts";
import type { DrawnToken, SamplerOptions, TokenOdds } from "../batch_decoder.ts";
import { type LlamaLibrary, type NativePointer, toCString } from "./library.ts";
import type { CandidateBuffer } from "./structs.ts";

/** llama.cpp's own defaults, for what a request leaves open. */
const SAMPLING_DEFAULTS = { temperature: 0.8, topP: 0.95, topK: 40, minP: 0.05 } as const;
/** Penalties look this many tokens of the answer back; llama.cpp's default of 64 forgets within a paragraph. */
const PENALTY_TOKENS_MAX = 256;
/** Longer than any token of any vocabulary. */
const TOKEN_BYTES_MAX = 1_024;
/** A bias of this much or less forbids a token, as OpenAI's API has it. */
const FORBIDDEN_BIAS = -100;

/** What a sampler works with. */
export interface SamplerHome {
  library: LlamaLibrary;
  context: NativePointer;
  vocabulary: NativePointer;
  vocabularyTokens: number;
  /** Shared by all samplers, which work one after another. */
  candidates: CandidateBuffer;
}

/**
 * Draws tokens for one request. A grammar is asked only about the token that was drawn, and about the whole vocabulary
 * when it refuses that one: a model that knows what is wanted pays next to nothing for it. The method is that of
 * llama.cpp's own `common_sampler_sample`.
 */
export class NativeSampler {
  readonly #home: SamplerHome;
  readonly #chain: NativePointer;
  readonly #logprobs: number | null;
  /** Whether some tokens are never drawn. */
  readonly #forbids: boolean;
  #grammar: NativePointer | null = null;

  constructor(home: SamplerHome, { sampling, logprobs }: SamplerOptions) {
    this.#home = home;
    this.#logprobs = logprobs;
    this.#forbids = Object.values(sampling.logitBias).some((bias) => bias <= FORBIDDEN_BIAS);
    this.#chain = createChain(home, sampling);
  }

  /** @throws {Error} when llama.cpp cannot parse the grammar. */
  setGrammar(gbnf: string | null, accepted: readonly number[]): boolean {
    const { library, vocabulary } = this.#home;
    this.#freeGrammar();
    if (gbnf === null) return true;
    this.#grammar = library.llama_sampler_init_grammar(vocabulary, toCString(gbnf), toCString("root"));
    if (this.#grammar === null) throw new Error("llama.cpp does not take the grammar");
    for (const token of accepted) {
      if (!this.#allows(token)) {
        this.#freeGrammar();
        return false;
      }
      library.llama_sampler_accept(this.#grammar, token);
    }
    return true;
  }

  /**
   * Draws the token that follows the token at the place `output` of the batch.
   *
   * @throws {DomainError} `invalid_request` when a bias forbids everything that the grammar allows.
   * @throws {Error} when there is none for another reason, such as a model that computes no numbers.
   */
  draw(output: number): DrawnToken {
    const { library, context, vocabularyTokens } = this.#home;
    const address = library.llama_get_logits_ith(context, output);
    if (address === null) throw new Error("llama.cpp computed no odds");
    // A model that is damaged has nothing but NaN from some layer on, and samplers must not see that.
    if (Number.isNaN(new Deno.UnsafePointerView(address).getFloat32())) {
      throw new Error("The model computes no numbers");
    }
    if (this.#grammar === null && this.#logprobs === null) {
      return withoutOdds(library.llama_sampler_sample(this.#chain, context, output));
    }
    const logits = new Float32Array(Deno.UnsafePointerView.getArrayBuffer(address, 4 * vocabularyTokens));
    const token = this.#choose(logits);
    library.llama_sampler_accept(this.#chain, token);
    if (this.#grammar !== null) library.llama_sampler_accept(this.#grammar, token);
    return this.#logprobs === null ? withoutOdds(token) : this.#describe(logits, token, this.#logprobs);
  }

  dispose(): void {
    this.#freeGrammar();
    this.#home.library.llama_sampler_free(this.#chain);
  }

  #choose(logits: Float32Array): number {
    const { library, candidates } = this.#home;
    candidates.fill(logits);
    library.llama_sampler_apply(this.#chain, candidates.struct);
    const free = candidates.selected;
    if (this.#grammar === null || (free !== null && this.#allows(free))) return expectToken(free);
    candidates.fill(logits);
    library.llama_sampler_apply(this.#grammar, candidates.struct);
    library.llama_sampler_apply(this.#chain, candidates.struct);
    const chosen = expectToken(candidates.selected);
    // When the grammar leaves nothing, what was chosen is impossible too, and accepting it would end the process.
    if (this.#allows(chosen)) return chosen;
    if (!this.#forbids) throw new Error("The grammar leaves no token");
    const message = "The tokens that logit_bias leaves cannot write what the format or the tools ask for";
    throw new DomainError("invalid_request", message, { param: "logit_bias" });
  }

  #describe(logits: Float32Array, token: number, topCount: number): DrawnToken {
    const logprobOf = computeLogprobs(logits);
    const describe = (token: number): TokenOdds => ({
      token,
      logprob: logprobOf(token),
      bytes: spell(this.#home, token),
    });
    return { ...describe(token), top: findLikeliest(logits, topCount).map(describe) };
  }

  #allows(token: number): boolean {
    const { library, candidates } = this.#home;
    candidates.fillOne(token);
    library.llama_sampler_apply(this.#grammar, candidates.struct);
    return candidates.isPossible;
  }

  #freeGrammar(): void {
    if (this.#grammar !== null) this.#home.library.llama_sampler_free(this.#grammar);
    this.#grammar = null;
  }
}

/** Order of the samplers: bias, penalties, top-k, top-p, min-p, temperature. */
function createChain({ library, vocabularyTokens }: SamplerHome, sampling: Sampling): NativePointer {
  const chain = expectPointer(library.llama_sampler_chain_init(new Uint8Array([1])));
  const add = (sampler: Deno.PointerValue) => library.llama_sampler_chain_add(chain, expectPointer(sampler));
  const { repeatPenalty, frequencyPenalty, presencePenalty } = sampling;
  const biases = toBiases(sampling.logitBias, vocabularyTokens);
  if (biases.length > 0) {
    add(library.llama_sampler_init_logit_bias(vocabularyTokens, biases.length, packBiases(biases)));
  }
  if (repeatPenalty !== null || frequencyPenalty !== null || presencePenalty !== null) {
    add(library.llama_sampler_init_penalties(
      vocabularyTokens,
      PENALTY_TOKENS_MAX,
      repeatPenalty ?? 1,
      frequencyPenalty ?? 0,
      presencePenalty ?? 0,
    ));
  }
  const temperature = sampling.temperature ?? SAMPLING_DEFAULTS.temperature;
  if (temperature === 0) {
    add(library.llama_sampler_init_greedy());
    return chain;
  }
  add(library.llama_sampler_init_top_k(sampling.topK ?? SAMPLING_DEFAULTS.topK));
  add(library.llama_sampler_init_top_p(sampling.topP ?? SAMPLING_DEFAULTS.topP, 1n));
  add(library.llama_sampler_init_min_p(sampling.minP ?? SAMPLING_DEFAULTS.minP, 1n));
  add(library.llama_sampler_init_temp(temperature));
  add(library.llama_sampler_init_dist(sampling.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!));
  return chain;
}

function toBiases(logitBias: Sampling["logitBias"], tokens: number): [token: number, bias: number][] {
  return Object.entries(logitBias).map(([token, bias]): [number, number] => [Number(token), bias])
    .filter(([token]) => token < tokens);
}

/** An array of `struct llama_logit_bias`. */
function packBiases(biases: readonly [token: number, bias: number][]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(8 * biases.length));
  for (const [i, [token, bias]] of biases.entries()) {
    view.setInt32(8 * i, token, true);
    view.setFloat32(8 * i + 4, bias <= FORBIDDEN_BIAS ? -Infinity : bias, true);
  }
  return new Uint8Array(view.buffer);
}

function withoutOdds(token: number): DrawnToken {
  return { token, logprob: 0, bytes: [], top: [] };
}

/** Logarithms of the softmax of `logits`. */
function computeLogprobs(logits: Float32Array): (token: number) => number {
  let max = -Infinity;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return (token) => logits[token]! - max - Math.log(sum);
}

/** UTF-8 of a token, special ones written out. */
function spell({ library, vocabulary }: SamplerHome, token: number): number[] {
  const bytes = new Uint8Array(TOKEN_BYTES_MAX);
  const length = library.llama_token_to_piece(vocabulary, token, bytes, bytes.length, 0, true);
  return [...bytes.subarray(0, Math.max(0, length))];
}

/** Ids of the `count` largest logits, in falling order. */
function findLikeliest(logits: Float32Array, count: number): number[] {
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && (count === 0 || logits[id]! <= logits[best.at(-1)!]!)) continue;
    let place = best.length;
    while (place > 0 && logits[id]! > logits[best[place - 1]!]!) place--;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}

function expectPointer(pointer: Deno.PointerValue): NativePointer {
  if (pointer === null) throw new Error("llama.cpp could not create a sampler");
  return pointer;
}

function expectToken(token: number | null): number {
  if (token === null) throw new Error("llama.cpp drew no token");
  return token;
}
