/** A call that a model made earlier in a conversation, `arguments` as JSON text or as its value. */
export interface PastToolCall {
  name: string;
  arguments?: unknown;
}

/** Puts the calls of an assistant's message into its text, one JSON object a line, so that a model reads what it did. */
export function renderToolCalls(content: string, calls: readonly PastToolCall[]): string {
  return [content, ...calls.map(renderCall)].filter((text) => text !== "").join("\n");
}

function renderCall(call: PastToolCall): string {
  const written = typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments ?? {});
  // Arguments come from a model and may be no JSON at all; then they are a text.
  const value = isJson(written) ? written : JSON.stringify(written);
  return `{"name":${JSON.stringify(call.name)},"arguments":${value}}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
