import { testInference } from "../../tests/contract/inference.ts";
import { createEngineTable } from "./engine_table.ts";
import { createScriptedEngine } from "./scripted_engine.ts";

testInference("An engine table", (model = {}) => {
  const engine = createScriptedEngine({ model });
  const inference = createEngineTable([engine]);
  return { inference, engine, model: "scripted", [Symbol.asyncDispose]: () => inference[Symbol.asyncDispose]() };
}, { embeds: false });
