import type { AnswerRunner } from "../../lib/conversations/answer_runner.ts";
import * as conversations from "../../lib/conversations/conversations.ts";
import { exportConversation } from "../../lib/conversations/export.ts";
import { importConversation } from "../../lib/conversations/import.ts";
import type { MessageFeed } from "../../lib/conversations/message_feed.ts";
import type { Database } from "../../lib/database/database.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { respondWithFile } from "../_shared/file_response.ts";
import { addAnswers } from "./answers.ts";
import { requireCaller } from "./caller.ts";
import { addMessages } from "./messages.ts";
import * as routes from "./routes.ts";

/** What the function stands on. */
export interface ConversationsOptions {
  database: Database;
  /** Makes the answers. */
  runner: AnswerRunner;
  /** Tells of those that are made anywhere. */
  feed: MessageFeed;
  edge?: EdgeOptions;
}

/** `/api/conversations`: conversations, their members and their messages. */
export function createApp({ database, runner, feed, edge }: ConversationsOptions): App {
  const isRead = (method: string) => method === "GET" || method === "HEAD";
  const scopes = ({ method }: { method: string }) => [isRead(method) ? "read" as const : "write" as const];
  const app = createFunction("conversations", edge, { scopes });
  addConversations(app, database);
  addMembers(app, database);
  addMessages(app, database);
  addAnswers(app, { database, runner, feed });
  return app;
}

function addConversations(app: App, database: Database): void {
  app.openapi(routes.list, async (c) => {
    const { cursor = null, limit, search = null, archived = null, pinned = null, deleted } = c.req.valid("query");
    const query = { cursor, limit, search, archived, pinned, deleted };
    return c.json(await conversations.listConversations(requireCaller(c, database), query), 200);
  });

  app.openapi(routes.create, async (c) => {
    return c.json(await conversations.createConversation(requireCaller(c, database), c.req.valid("json")), 201);
  });

  app.openapi(routes.importOne, async (c) => {
    return c.json(await importConversation(requireCaller(c, database), c.req.valid("json")), 201);
  });

  app.openapi(routes.get, async (c) => {
    return c.json(await conversations.getConversation(requireCaller(c, database), c.req.valid("param").id), 200);
  });

  app.openapi(routes.change, async (c) => {
    const change = { id: c.req.valid("param").id, changes: c.req.valid("json") };
    return c.json(await conversations.changeConversation(requireCaller(c, database), change), 200);
  });

  app.openapi(routes.remove, async (c) => {
    await conversations.deleteConversation(requireCaller(c, database), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.restore, async (c) => {
    return c.json(await conversations.restoreConversation(requireCaller(c, database), c.req.valid("param").id), 200);
  });

  app.openapi(routes.exportOne, async (c) => {
    const { format, leafId = null } = c.req.valid("query");
    const options = { conversationId: c.req.valid("param").id, leafId, format };
    const file = await exportConversation(requireCaller(c, database), options);
    const type = format === "json" ? "application/json" : "text/markdown; charset=utf-8";
    return respondWithFile(c, file.texts, { name: file.name, type });
  });

  app.openapi(routes.chooseBranch, async (c) => {
    const choice = { ...c.req.valid("param"), ...c.req.valid("json") };
    return c.json(await conversations.chooseBranch(requireCaller(c, database), choice), 200);
  });
}

function addMembers(app: App, database: Database): void {
  app.openapi(routes.listMembers, async (c) => {
    return c.json(await conversations.listMembers(requireCaller(c, database), c.req.valid("param").id), 200);
  });

  app.openapi(routes.share, async (c) => {
    const share = { ...c.req.valid("param"), ...c.req.valid("json") };
    return c.json({ userId: await conversations.shareConversation(requireCaller(c, database), share) }, 200);
  });

  app.openapi(routes.unshare, async (c) => {
    await conversations.unshareConversation(requireCaller(c, database), c.req.valid("param"));
    return c.json({ status: "ok" as const }, 200);
  });
}
