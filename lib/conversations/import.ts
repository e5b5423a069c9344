import type { Conversation, ConversationExport } from "../contracts/conversation.ts";
import { asCaller, type Caller } from "./caller.ts";
import { readConversation } from "./conversations.ts";

/**
 * Makes a conversation of an export: the same tree, with new ids. All of it is stored, or nothing.
 *
 * @throws {DomainError} `invalid_request` when two messages have one id, or a parent does not come before its child.
 */
export async function importConversation(caller: Caller, file: ConversationExport): Promise<Conversation> {
  const messages = file.messages.map((message) => ({
    id: message.id,
    parent_id: message.parentId,
    thread_id: message.threadId,
    message_type: message.type,
    state: message.state,
    content: message.content,
    reasoning: message.reasoning,
    tool_calls: message.toolCalls,
    tool_call_id: message.toolCallId,
    model: message.model,
    usage: message.usage,
    error: message.error,
    created_at: message.createdAt,
    finished_at: message.finishedAt,
  }));
  const threads = file.threads.map(({ id, name, rootMessageId }) => ({ id, name, root_message_id: rootMessageId }));
  return await asCaller(caller, async (session) => {
    const create = "select conversation_id as id from app.create_conversation($1, $2)";
    const [made] = await session.query<{ id: string }>(create, [file.title, file.model]);
    const id = made!.id;
    await session.query("select count(*) from app.import_messages($1, $2::jsonb, $3::jsonb)", [id, messages, threads]);
    return await readConversation(session, { caller, id });
  });
}
