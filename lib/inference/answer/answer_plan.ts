import type { ChatRequest } from "../../contracts/chat.ts";
import { DomainError } from "../../errors.ts";
import { AnswerGrammars } from "./answer_grammar.ts";
import { AnswerLog } from "./answer_log.ts";
import type { AnswerReader } from "./answer_reader.ts";
import { CALLS_MAX, isTextParameter, type PlacedTool } from "./call_grammar.ts";
import { type AnswerStart, type CallFormat, HERMES } from "./families.ts";
import { HarmonyReader } from "./harmony_reader.ts";
import { MarkedReader, type ReaderParts } from "./marked_reader.ts";

/** Grammars that are kept for the next request: an agent sends the same tools with every turn. */
const GRAMMARS_MAX = 16;

/** How the answer to a raw prompt begins: nothing is known of it. */
const RAW_START: AnswerStart = { calls: HERMES, thoughts: null, thought: "closed" };

/** By everything that makes them; the one used last stands last. */
const grammarsByDemands = new Map<string, AnswerGrammars>();

/**
 * Plans how an answer is held to what a request asks for, and how it is read.
 *
 * A call that must be made (`required`, or a named tool) is made in the format of the model's family, after its thoughts.
 * On `auto` text flows freely until the family's marker is written in full; from there on only calls of the tools fit.
 * A named tool is called once; other answers hold up to 16 calls, or one where the family knows no more. An answer's
 * format holds for its text: where a call must be made there is none, and on `auto` the model may call instead.
 *
 * @param start How the answer begins, as its prompt says; null for a raw prompt, behind which nothing is called.
 * @throws {DomainError} `invalid_request` when a call must be made and there is no such tool, and for a schema that cannot
 *   be held to.
 */
export function planAnswer(request: ChatRequest, start: AnswerStart | null): AnswerReader {
  const { tools, toolChoice, format, reasoning } = request;
  const callable = start === null ? [] : findCallable(request);
  const isCallForced = callable.length > 0 && (toolChoice === "required" || typeof toolChoice === "object");
  const answerStart = start ?? RAW_START;
  const callsMax = typeof toolChoice === "object" || !request.parallelToolCalls ? 1 : CALLS_MAX;
  const grammars = findGrammars({ tools: callable, isCallForced, callsMax, format, start: answerStart });
  const byName = new Map(callable.map(({ tool }) => [tool.name, tool]));
  const parts: ReaderParts = {
    start: answerStart,
    formats: callable.length === 0 ? [] : listFormats(answerStart.calls),
    tools: {
      names: [...byName.keys()],
      isText: (tool, parameter) => isTextParameter(byName.get(tool)!, parameter),
    },
    callsMax,
    grammars,
    log: new AnswerLog({ tools, format, mustCall: isCallForced }),
    thoughtTokensMax: reasoning.tokensMax,
  };
  return answerStart.calls.id === "harmony" ? new HarmonyReader(parts) : new MarkedReader(parts);
}

function findCallable({ tools, toolChoice }: ChatRequest): PlacedTool[] {
  const placed = tools.map((tool, place) => ({ tool, place }));
  if (toolChoice === "none") return [];
  if (toolChoice === "required" && tools.length === 0) {
    throw new DomainError("invalid_request", "A tool has to be called, but there are no tools", {
      param: "tool_choice",
    });
  }
  if (typeof toolChoice === "string") return placed;
  const named = placed.filter(({ tool }) => tool.name === toolChoice.name);
  if (named.length > 0) return named;
  throw new DomainError("invalid_request", `There is no tool "${toolChoice.name}" to choose`, { param: "tool_choice" });
}

/** A model's own format, and Hermes's: small models of any family fall into it. */
function listFormats(own: CallFormat): CallFormat[] {
  return own.marker === HERMES.marker ? [own] : [own, HERMES];
}

function findGrammars(demands: ConstructorParameters<typeof AnswerGrammars>[0]): AnswerGrammars {
  const { start } = demands;
  const key = JSON.stringify([demands, start.calls.id, start.thoughts?.open ?? null]);
  const grammars = grammarsByDemands.get(key) ?? new AnswerGrammars(demands);
  grammarsByDemands.delete(key);
  grammarsByDemands.set(key, grammars);
  if (grammarsByDemands.size > GRAMMARS_MAX) grammarsByDemands.delete(grammarsByDemands.keys().next().value!);
  return grammars;
}
