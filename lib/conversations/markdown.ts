import type { MessageType } from "../contracts/conversation.ts";
import type { MessageRow } from "./rows.ts";

const SPEAKERS: Record<MessageType, string> = {
  user: "User",
  assistant: "Assistant",
  system: "System",
  tool: "Tool",
  summary: "Summary",
  note: "Note",
  image: "Image",
};

/** A message under a heading of its own. Its content is Markdown already and stays as it is. */
export function renderMessage(
  row: MessageRow,
  { version, versions }: { version: number; versions: number },
): string {
  const about = [
    ...row.model === null ? [] : [row.model],
    ...row.state === "complete" ? [] : [row.state],
    ...versions > 1 ? [`version ${version} of ${versions}`] : [],
  ];
  const title = SPEAKERS[row.message_type] + (about.length === 0 ? "" : ` (${about.join(", ")})`);
  const parts = [`## ${title}`];
  if (row.reasoning) parts.push(row.reasoning.trim().replace(/^/gm, "> "));
  if (row.content !== "") parts.push(row.content.trimEnd());
  for (const { name, arguments: given } of row.tool_calls ?? []) parts.push(`Calls \`${name}\`:`, fence(given));
  return parts.join("\n\n") + "\n";
}

/** Text in a fence that is longer than any within it. */
function fence(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const mark = "`".repeat(longest + 1);
  return `${mark}json\n${text}\n${mark}`;
}
