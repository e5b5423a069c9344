import type { Context } from "hono";
import { requireScope, toClaims } from "../../lib/accounts/principal.ts";
import type { ChatMessage } from "../../lib/contracts/chat.ts";
import type { AnswerRunner } from "../../lib/conversations/answer_runner.ts";
import { RecordedTurn } from "../../lib/conversations/recorded_turn.ts";
import type { Database } from "../../lib/database/database.ts";
import { DomainError } from "../../lib/errors.ts";
import type { FunctionEnv } from "../_shared/create_function.ts";
import type { ChatBody } from "./body.ts";

/** What turns are kept with. */
export interface TurnParts {
  database: Database;
  runner: AnswerRunner;
}

/**
 * The turn that a body asks to keep, or null when it does not ask.
 *
 * @throws {DomainError} `invalid_request` where turns cannot be kept, or several answers are asked for; `unauthorized`
 *   and `forbidden` for who has no conversations.
 */
export function openTurn(
  c: Context<FunctionEnv>,
  { body, messages, turns }: { body: ChatBody; messages: readonly ChatMessage[]; turns: TurnParts | null },
): RecordedTurn | null {
  const asked = body.metadata?.rookery ?? null;
  if (asked === null) return null;
  if (turns === null) throw refusal("this function runs without a database");
  if ((body.n ?? 1) > 1) throw refusal("a turn has one answer, so that n has to be 1");
  const principal = c.get("principal");
  requireScope(principal, ["write"]);
  const { userId: sub } = principal;
  if (sub === null) {
    throw new DomainError("unauthorized", "Conversations belong to accounts: use a key of an account");
  }
  const { database, runner } = turns;
  const caller = { database, claims: { ...toClaims(principal), sub } };
  const { conversation_id: conversationId, parent_message_id: parentId = null } = asked;
  return new RecordedTurn(caller, { runner, conversationId, parentId, messages });
}

function refusal(reason: string): DomainError {
  return new DomainError("invalid_request", `Invalid value of "metadata.rookery": ${reason}`, {
    param: "metadata.rookery",
  });
}
