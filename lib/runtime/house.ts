import { openAccounts } from "../accounts/open_accounts.ts";
import type { OAuthParts } from "../accounts/oauth_sign_in.ts";
import { createKeyPrincipal } from "../accounts/key_principals.ts";
import { LOCAL, type Principals } from "../accounts/principal.ts";
import { AnswerRunner } from "../conversations/answer_runner.ts";
import { MessageFeed } from "../conversations/message_feed.ts";
import type { Database } from "../database/database.ts";
import type { Settings } from "../env.ts";
import type { Inference } from "../inference/inference.ts";
import type { Logger } from "../log.ts";
import { withDeadline } from "../worker/deadline.ts";
import { type DataFolder, replaceFile } from "./data_folder.ts";
import { admitOperator, noteOperator, type OperatorNote } from "./operator.ts";
import { startUpkeep } from "./upkeep.ts";

/** How long answers in progress may go on when Rookery ends, in milliseconds; then they are stored as interrupted. */
const DRAIN_MS = 8_000;

/** What {@linkcode openHouse} stands on. */
export interface HouseOptions {
  settings: Settings;
  folder: DataFolder;
  database: Database;
  inference: Inference;
  /** Where the operator reaches this Rookery, and by which certificate it is known. */
  address: Omit<OperatorNote, "token">;
  log: Logger;
}

/** Everything that a running Rookery keeps in its database: accounts, conversations, and who answers in them. */
export interface House extends AsyncDisposable {
  accounts: OAuthParts;
  principals: Principals;
  runner: AnswerRunner;
  feed: MessageFeed;
  /** Begins no more answers, lets those in progress end for a while, and stores the others as interrupted. */
  drain(): Promise<void>;
}

/**
 * Opens what stands on the database. It is disposed of when the last request has been answered, and leaves the database
 * open.
 *
 * @throws {DomainError} `invalid_config` for a secret that others may know, `database_unavailable`.
 * @throws {DatabaseError} when the database cannot be listened to.
 */
export async function openHouse(options: HouseOptions): Promise<House> {
  const { settings, folder, database, inference, address, log } = options;
  await using opened = new AsyncDisposableStack();
  const paths = { secretPath: folder.secret, limitsPath: folder.limits };
  const accounts = opened.use(await openAccounts({ settings, database, ...paths, log }));
  const { principals, token } = admitOperator(accounts.principals);
  const feed = opened.use(await MessageFeed.open(database));
  const { apiKey } = settings;
  const others = [LOCAL.owner, ...apiKey === null ? [] : [createKeyPrincipal(apiKey).owner]];
  opened.use(await startUpkeep({ database, inference, log, kept: { kvDir: folder.kv, others } }));
  const instance = await loadInstance(folder);
  const runner = await AnswerRunner.open({ database, inference, log, instance });
  noteOperator(folder, { ...address, token });
  opened.defer(() => Deno.remove(folder.operator).catch(() => {}));
  const rest = opened.move();
  return {
    accounts: accounts.parts,
    principals,
    feed,
    runner,
    async drain() {
      await withDeadline(runner.idle(), DRAIN_MS);
      await runner[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** The name of this Rookery among those on the same database; one that comes again ends what it left at once. */
async function loadInstance(folder: DataFolder): Promise<string> {
  const known = await Deno.readTextFile(folder.instance).catch(() => "");
  if (known.trim() !== "") return known.trim();
  const made = crypto.randomUUID();
  replaceFile(folder.instance, `${made}\n`);
  return made;
}
