import type { ModelDescription } from "../../lib/contracts/model.ts";
import { DomainError } from "../../lib/errors.ts";
import { repeatRequest } from "../_shared/answer_group.ts";
import type { AskedRequest } from "../_shared/answers.ts";
import { notServedError, toSampling, toStops } from "../_shared/fields.ts";
import type { ParamNames } from "../_shared/param_names.ts";
import { type CompletionBody, PROMPTS_MAX } from "./body.ts";

/** Most answers of one request, over all of its prompts. */
const ANSWERS_MAX = 32;

/** What a body asks for, in the order of its choices. */
export interface CompletionRequests {
  /** A text for each choice that it begins with: its prompt, or nothing. */
  echoes: string[];
  requests: AskedRequest[];
  /** How many answers each prompt has. */
  perPrompt: number;
}

/** How a body calls what the engine refuses. */
export const PARAM_NAMES: ParamNames = [[/^messages$/, "prompt"]];

/**
 * Translates a body for the engine: every prompt `n` times.
 *
 * @throws {DomainError} `invalid_request` that names the field which `model` cannot serve.
 */
export function toCompletionRequests(body: CompletionBody, model: ModelDescription): CompletionRequests {
  const perPrompt = body.n ?? 1;
  refuseUnserved(body);
  const suffix = toSuffix(body, model);
  const prompts = toPrompts(body, suffix);
  if (prompts.length * perPrompt > ANSWERS_MAX) {
    throw notServedError("n", `One request has at most ${ANSWERS_MAX} answers: send fewer prompts, or a smaller n`);
  }
  const requests = prompts.flatMap((prompt) => {
    const request: AskedRequest = {
      model: model.id,
      messages: null,
      prompt,
      suffix,
      sampling: { ...toSampling(body), logitBias: body.logit_bias ?? {} },
      stop: toStops(body.stop, "stop"),
      completionTokensMax: body.max_tokens ?? null,
      logprobs: body.logprobs ?? null,
    };
    return repeatRequest(request, perPrompt);
  });
  const echoes = requests.map(({ prompt }) => body.echo ? prompt ?? "" : "");
  return { echoes, requests, perPrompt };
}

/** Refuses what would be answered wrongly if it were passed over in silence. */
function refuseUnserved(body: CompletionBody): void {
  if (body.echo && typeof body.logprobs === "number") {
    throw notServedError(
      "echo",
      "The probabilities of a prompt's tokens are not kept: send echo or logprobs, not both",
    );
  }
  if ((body.best_of ?? 1) !== 1 && body.best_of !== body.n) {
    throw notServedError("best_of", "Rookery throws no answer away: leave best_of out, and ask for n answers");
  }
}

/** What follows on the gap. An empty one asks nothing of a model that fills in none: editors send it at a file's end. */
function toSuffix({ suffix }: CompletionBody, { id, capabilities }: ModelDescription): string | null {
  if (capabilities.infill) return suffix ?? null;
  if (!suffix) return null;
  throw notServedError(
    "suffix",
    `The model "${id}" cannot fill in the middle: leave suffix out, or take a model that can`,
  );
}

function toPrompts({ prompt }: CompletionBody, suffix: string | null): string[] {
  const prompts = typeof prompt === "string" ? [prompt] : prompt;
  if (prompts.length > PROMPTS_MAX) {
    throw new DomainError("invalid_request", `Invalid value of "prompt": at most ${PROMPTS_MAX} texts`, {
      param: "prompt",
    });
  }
  return prompts.map((text, index) => {
    const param = typeof prompt === "string" ? "prompt" : `prompt[${index}]`;
    if (typeof text !== "string") {
      throw notServedError("prompt", "Rookery reads prompts as texts and counts their tokens itself: send text");
    }
    // With a suffix it is the beginning of a file.
    if (text === "" && suffix === null) {
      throw new DomainError("invalid_request", `Invalid value of "${param}": there is nothing to continue`, { param });
    }
    return text;
  });
}
