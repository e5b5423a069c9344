/** What conversations and accounts cost over HTTP: on the embedded database, and on a Postgres server beside it. */
import { Passwords } from "../../lib/accounts/passwords.ts";
import type { ConversationExport } from "../../lib/contracts/conversation.ts";
import { openPostgres } from "../../lib/database/postgres.ts";
import { silentLogger } from "../../lib/log.ts";
import { PASSWORD } from "../fixtures/accounts.ts";
import { Guest, type Home } from "../fixtures/guest.ts";
import { LastingRookery } from "../fixtures/lasting_rookery.ts";
import { TestPostgres } from "../fixtures/postgres.ts";
import { WordSource } from "./client.ts";
import { median, takeTurns } from "./rounds.ts";
import { type Comparison, renderTable } from "./table.ts";

const ROOT = "/api/conversations";
const EMAIL = "ada@example.org";

/** Words of a message, about 60 tokens; and the one that a few of them have. */
const MESSAGE_WORDS = 40;
const RARE_WORD = "capercaillie";

/** Messages of each of the many conversations. */
const SHORT_MESSAGES = 4;

/** Who posts at the same time. */
const WRITERS = 8;

/** What a client asks for at once; the longest page there is for what it reads to the end. */
const PAGE_ITEMS = 50;
const LONG_PAGE_ITEMS = 200;

/** How much there is, and how often it is asked for. */
export interface DatabaseSizes {
  /** Messages of the long conversation, all of one branch. */
  longMessages: number;
  conversations: number;
  /** One of so many short conversations has the word that is searched for. */
  rareEvery: number;
  /** Messages that one writer posts in a turn, and each of several at once. */
  posts: number;
  postsTogether: number;
  /** Times that everything else is asked for in a turn. */
  repeats: number;
}

/** What the README's table is of. */
const SIZES: DatabaseSizes = {
  longMessages: 10_000,
  conversations: 1_000,
  rareEvery: 50,
  posts: 60,
  postsTogether: 15,
  repeats: 9,
};

/** What one home did in one turn; times in milliseconds, speeds in messages a second. */
export interface DatabaseMeasurement {
  postOne: number;
  postTogether: number;
  openMs: number;
  messagesMs: number;
  pathMs: number;
  listMs: number;
  searchMs: number;
  logInMs: number;
  argonMs: number;
}

/** How measurements of homes of these sizes are shown. */
export function compareDatabases(sizes: DatabaseSizes): Comparison<keyof DatabaseMeasurement> {
  const [long, many] = [sizes.longMessages, sizes.conversations].map((count) => count.toLocaleString("en-US"));
  const speed = { unit: "/s", divisor: 1, digits: 1 };
  const wait = { unit: "ms", divisor: 1, digits: 1 };
  const rows = [
    { label: "messages posted, one after the other", key: "postOne", ...speed },
    { label: `messages posted, ${WRITERS} at once`, key: "postTogether", ...speed },
    { label: `opening a conversation of ${long} messages at its end`, key: "openMs", ...wait },
    { label: `its first page, ${PAGE_ITEMS} messages`, key: "messagesMs", ...wait },
    { label: "its whole path, from the leaf to the root", key: "pathMs", ...wait, digits: 0 },
    { label: `first page of ${many} conversations`, key: "listMs", ...wait },
    { label: "searching them", key: "searchMs", ...wait },
    { label: "logging in", key: "logInMs", ...wait },
    { label: "argon2id alone, in a process of its own", key: "argonMs", ...wait },
  ] as const;
  return { own: "embedded", other: "Postgres", rows };
}

/**
 * Starts one Rookery on a new embedded database and one on the Postgres server whose programs are in `programs`, both
 * with the model in `modelPath` that nobody asks, and measures them in turns; returns Markdown. Both wait for the disk.
 */
export async function measureDatabases(
  { modelPath, programs }: { modelPath: string; programs: string },
  { rounds, sizes = SIZES }: { rounds: number; sizes?: DatabaseSizes },
): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await TestPostgres.start(programs, { settings: ["fsync=on"] }));
  const version = await readDurableVersion(postgres.url());
  const embedded = stack.use(await LastingRookery.start(modelPath));
  const server = stack.use(await LastingRookery.start(modelPath, { DATABASE_URL: postgres.url() }));
  const [own, other] = [await furnish(embedded, sizes), await furnish(server, sizes)];
  const turns = { own: () => measureHome(own, sizes), other: () => measureHome(other, sizes) };
  // The first round fills caches.
  const [, ...measured] = await takeTurns(rounds + 1, turns);
  return `Postgres ${version} with \`fsync\`, as the embedded one has.\n\n${
    renderTable(measured, compareDatabases(sizes))
  }`;
}

/** The version of a server, which has to wait for its disk as the embedded database does. */
async function readDurableVersion(url: string): Promise<string> {
  await using database = await openPostgres({ url, log: silentLogger });
  const text = "select current_setting('server_version') as version, current_setting('fsync') as fsync, " +
    "current_setting('synchronous_commit') as commit";
  const [row] = await database.asOwner((session) => {
    return session.query<{ version: string; fsync: string; commit: string }>(text);
  });
  if (row?.fsync !== "on" || row.commit !== "on") throw new Error("Postgres does not wait for its disk");
  return row.version;
}

/** A home with conversations in it. */
export interface FurnishedHome {
  home: Home;
  /** Path of the long conversation. */
  long: string;
}

/** Makes the first account of a home, and its conversations by importing them. */
export async function furnish(home: Home, sizes: DatabaseSizes): Promise<FurnishedHome> {
  const guest = await Guest.join(home, EMAIL);
  const words = new WordSource("conversations");
  const importOne = (file: ConversationExport) => guest.get(home, `POST ${ROOT}/import`, file);
  const { id } = await importOne(makeConversation(words, { messages: sizes.longMessages }));
  const long = `${ROOT}/${id}`;
  const messages = await readAll((path) => guest.get(home, `GET ${path}`), `${long}/messages?limit=${LONG_PAGE_ITEMS}`);
  // As if somebody had been there last.
  await guest.get(home, `PUT ${long}/branch`, { leafId: messages.at(-1)!.id });
  for (let made = 0; made < sizes.conversations - 1; made++) {
    await importOne(makeConversation(words, { messages: SHORT_MESSAGES, isRare: made % sizes.rareEvery === 0 }));
  }
  return { home, long };
}

/** A conversation of one branch, in which questions and answers take turns. */
function makeConversation(
  words: WordSource,
  { messages, isRare = false }: { messages: number; isRare?: boolean },
): ConversationExport {
  const at = "2026-01-01T00:00:00Z";
  const nothing = { reasoning: null, toolCalls: null, toolCallId: null, model: null, usage: null, error: null };
  return {
    format: "rookery-conversation",
    version: 1,
    title: words.take(4),
    model: null,
    threads: [],
    messages: Array.from({ length: messages }, (_, index) => ({
      id: `${index}`,
      parentId: index === 0 ? null : `${index - 1}`,
      threadId: "root",
      type: index % 2 === 0 ? "user" as const : "assistant" as const,
      state: "complete" as const,
      content: words.take(MESSAGE_WORDS) + (isRare && index === 0 ? ` ${RARE_WORD}` : ""),
      createdAt: at,
      finishedAt: at,
      ...nothing,
    })),
  };
}

/** Measures a furnished home while nothing else works. */
export async function measureHome({ home, long }: FurnishedHome, sizes: DatabaseSizes): Promise<DatabaseMeasurement> {
  const entry = await measureLogIn(home, sizes);
  // A token is good for some minutes: each turn has one of its own.
  const guest = await Guest.logIn(home, EMAIL);
  const get = (path: string) => guest.get(home, `GET ${path}`);
  const measure = (work: () => Promise<unknown>) => medianMs(sizes.repeats, work);
  const { leafId } = await get(long);
  return {
    ...entry,
    postOne: await measurePosting(guest, home, { writers: 1, posts: sizes.posts }),
    postTogether: await measurePosting(guest, home, { writers: WRITERS, posts: sizes.postsTogether }),
    openMs: await measure(async () => {
      const conversation = await get(long);
      return await get(`${long}/messages/${conversation.leafId}/path?limit=${PAGE_ITEMS}`);
    }),
    messagesMs: await measure(() => get(`${long}/messages?limit=${PAGE_ITEMS}`)),
    pathMs: await medianMs(1, async () => {
      const path = await readAll(get, `${long}/messages/${leafId}/path?limit=${LONG_PAGE_ITEMS}`);
      requireCount(path.length, sizes.longMessages);
    }),
    listMs: await measure(() => get(`${ROOT}?limit=${PAGE_ITEMS}`)),
    searchMs: await measure(async () => {
      const { data } = await get(`${ROOT}?search=${RARE_WORD}&limit=${PAGE_ITEMS}`);
      requireCount(data.length, Math.ceil((sizes.conversations - 1) / sizes.rareEvery));
    }),
  };
}

/** What found something else was fast at something else. */
function requireCount(found: number, expected: number): void {
  if (found !== expected) throw new Error(`There were ${found} instead of ${expected}`);
}

/**
 * Logs in with the right password one time after the other: limits count only attempts that fail, so that they stay as
 * they are. The hash is computed beside it, here, to tell how much of a log-in it is.
 */
async function measureLogIn(home: Home, { repeats }: DatabaseSizes) {
  const passwords = new Passwords();
  const stored = await passwords.hash(PASSWORD);
  const verify = () => passwords.verify(stored, PASSWORD);
  return {
    logInMs: await medianMs(repeats, () => Guest.logIn(home, EMAIL)),
    argonMs: await medianMs(repeats, verify),
  };
}

/** Messages a second that writers post without asking for an answer, each to the end of a conversation of its own. */
async function measurePosting(
  guest: Guest,
  home: Home,
  { writers, posts }: { writers: number; posts: number },
): Promise<number> {
  const content = new WordSource("posted").take(MESSAGE_WORDS);
  const places = await Promise.all(Array.from({ length: writers }, async () => {
    return (await guest.get(home, `POST ${ROOT}`, { title: "Posted" })).id;
  }));
  const startedAt = performance.now();
  await Promise.all(places.map(async (id) => {
    let parentId: string | null = null;
    for (let post = 0; post < posts; post++) {
      const message: object = { parentId, content, answer: null };
      ({ messageId: parentId } = await guest.get(home, `POST ${ROOT}/${id}/messages`, message));
    }
  }));
  return writers * posts / (performance.now() - startedAt) * 1000;
}

/** What a page of a list holds, as far as it is looked at. */
interface Page {
  data: { id: string }[];
  nextCursor: string | null;
}

/** Reads a list page by page to its end. */
async function readAll(get: (path: string) => Promise<Page>, path: string): Promise<Page["data"]> {
  const first = await get(path);
  const items = [...first.data];
  for (let cursor = first.nextCursor; cursor !== null;) {
    const page = await get(`${path}&cursor=${encodeURIComponent(cursor)}`);
    items.push(...page.data);
    cursor = page.nextCursor;
  }
  return items;
}

async function medianMs(repeats: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const startedAt = performance.now();
    await work();
    times.push(performance.now() - startedAt);
  }
  return median(times);
}
