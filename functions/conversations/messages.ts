import * as messages from "../../lib/conversations/messages.ts";
import type { PageRequest } from "../../lib/conversations/page_cursor.ts";
import type { Database } from "../../lib/database/database.ts";
import type { App } from "../_shared/create_function.ts";
import { requireCaller } from "./caller.ts";
import * as routes from "./routes.ts";

/** Adds what is read of messages, and what is done with those that there are. */
export function addMessages(app: App, database: Database): void {
  addLists(app, database);

  app.openapi(routes.getMessage, async (c) => {
    return c.json(await messages.getMessage(requireCaller(c, database), toPlace(c.req.valid("param"))), 200);
  });

  app.openapi(routes.removeMessage, async (c) => {
    const count = await messages.deleteMessage(requireCaller(c, database), toPlace(c.req.valid("param")));
    return c.json({ count }, 200);
  });

  app.openapi(routes.restoreMessage, async (c) => {
    const count = await messages.restoreMessage(requireCaller(c, database), toPlace(c.req.valid("param")));
    return c.json({ count }, 200);
  });

  app.openapi(routes.fork, async (c) => {
    const fork = { ...toPlace(c.req.valid("param")), title: c.req.valid("json").title ?? null };
    return c.json(await messages.forkConversation(requireCaller(c, database), fork), 201);
  });

  app.openapi(routes.move, async (c) => {
    const move = { ...toPlace(c.req.valid("param")), ...c.req.valid("json") };
    return c.json({ threadId: await messages.moveSubtree(requireCaller(c, database), move) }, 200);
  });
}

function addLists(app: App, database: Database): void {
  app.openapi(routes.listThreads, async (c) => {
    const query = { ...toPage(c.req.valid("query")), conversationId: c.req.valid("param").id };
    return c.json(await messages.listThreads(requireCaller(c, database), query), 200);
  });

  app.openapi(routes.listMessages, async (c) => {
    const { threadId = null, ...page } = c.req.valid("query");
    const query = { ...toPage(page), conversationId: c.req.valid("param").id, threadId };
    return c.json(await messages.listMessages(requireCaller(c, database), query), 200);
  });

  app.openapi(routes.listPath, async (c) => {
    const query = { ...toPage(c.req.valid("query")), ...toPlace(c.req.valid("param")) };
    return c.json(await messages.listPath(requireCaller(c, database), query), 200);
  });

  app.openapi(routes.listChildren, async (c) => {
    const query = { ...toPage(c.req.valid("query")), ...toPlace(c.req.valid("param")) };
    return c.json(await messages.listChildren(requireCaller(c, database), query), 200);
  });

  app.openapi(routes.listSiblings, async (c) => {
    const query = { ...toPage(c.req.valid("query")), ...toPlace(c.req.valid("param")) };
    return c.json(await messages.listSiblings(requireCaller(c, database), query), 200);
  });
}

/** The message that a path names. */
export function toPlace({ id, messageId }: { id: string; messageId: string }): messages.MessagePlace {
  return { conversationId: id, messageId };
}

function toPage({ cursor, limit }: { cursor?: string | undefined; limit: number }): PageRequest {
  return { cursor: cursor ?? null, limit };
}
