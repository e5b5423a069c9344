import { testInference } from "../../tests/contract/inference.ts";
import { serveRookery } from "../../tests/fixtures/other_rookery.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { createRemoteInference } from "./remote_inference.ts";

const KEY = "correct-horse-battery";

testInference("Another Rookery", (model = {}) => {
  const scripted = new ScriptedInference({ model });
  const server = serveRookery(scripted, { apiKey: KEY });
  const inference = createRemoteInference({ name: "desk", url: `${server.url}/v1/`, apiKey: KEY });
  const dispose = async () => {
    await inference[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await scripted[Symbol.asyncDispose]();
  };
  return {
    inference,
    engine: scripted.engine,
    model: "desk/scripted",
    embedder: "desk/scripted-embedder",
    [Symbol.asyncDispose]: dispose,
  };
}, { countsTokens: false });
