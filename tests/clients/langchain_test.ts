import assert from "node:assert/strict";
import {
  type AIMessageChunk,
  HumanMessage,
  SystemMessage,
  type ToolMessage,
  type UsageMetadata,
} from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import {
  assertIdle,
  type Checks,
  CONTEXT_TOKENS,
  LIGHTS,
  STORY,
  tellsBothNumbers,
  testClient,
  TOO_LONG,
} from "../fixtures/client_checks.ts";

type ChatOptions = ConstructorParameters<typeof ChatOpenAI>[0];

/** Makes LangChain's models for one Rookery, as its documentation of servers that speak OpenAI's API says. */
class LangChain {
  readonly #shared: { apiKey: string; configuration: { baseURL: string }; maxRetries: number };

  constructor(url: string) {
    this.#shared = { apiKey: "none", configuration: { baseURL: `${url}/v1` }, maxRetries: 0 };
  }

  chat(model: string, options: ChatOptions = {}): ChatOpenAI {
    return new ChatOpenAI({ ...this.#shared, model, temperature: 0, ...options });
  }

  completion(model: string, maxTokens: number): OpenAI {
    return new OpenAI({ ...this.#shared, model, temperature: 0, maxTokens });
  }

  embeddings(model: string): OpenAIEmbeddings {
    return new OpenAIEmbeddings({ ...this.#shared, model });
  }
}

const Light = z.object({ room: z.enum(["pantry", "attic"]), brightness: z.number().int().min(1).max(100) });

const turnOn = tool(({ room }: z.infer<typeof Light>) => `The light of the ${room} is on. `.repeat(16), {
  name: "turn_on",
  description: "Turns a light on",
  schema: Light,
});

const CHATS: Checks<LangChain> = {
  async "a model answers, counted"({ client, model }) {
    const messages = [new SystemMessage("Be brief."), new HumanMessage("What is the capital of France?")];
    const answer = await client.chat(model).invoke(messages);
    assert.match(answer.text, /Paris/);
    assert.equal(answer.response_metadata.finish_reason, "stop");
    assert.ok(usageOf(answer).input_tokens > 15 && usageOf(answer).output_tokens > 0);
  },

  async "a stream is the whole answer, with its usage and the reason for its end"({ client, model }) {
    const chat = client.chat(model, { maxTokens: 12 });
    const whole = await chat.invoke(STORY);
    const chunks = await Array.fromAsync(await chat.stream(STORY));
    const joined = join(chunks);
    assert.equal(joined.content, whole.content);
    assert.ok(chunks.length > 5, "it comes in pieces");
    assert.equal(joined.response_metadata.finish_reason, "length");
    assert.equal(usageOf(joined).output_tokens, 12);
  },

  async "a raw prompt is continued"({ client, model }) {
    assert.match(await client.completion(model, 8).invoke("The capital of France is"), /Paris/);
  },

  async "the newer API of responses answers, too"({ client, model }) {
    const chat = client.chat(model, { useResponsesApi: true });
    const answer = await chat.invoke("What is the capital of France? Answer in one short sentence.");
    assert.match(answer.text, /Paris/);
    assert.ok(usageOf(answer).output_tokens > 0);
  },
};

const TOOLS: Checks<LangChain> = {
  async "a tool is called, and its message read in the next turn"({ client, model }) {
    for (const useResponsesApi of [false, true]) {
      const chat = client.chat(model, { maxTokens: 64, useResponsesApi });
      // Of the newer API LangChain leaves "required" out; a name it passes on.
      const options = { tool_choice: useResponsesApi ? "turn_on" : "required", parallel_tool_calls: false };
      const asked = new HumanMessage(LIGHTS);
      const called = await chat.bindTools([turnOn], options).invoke([asked]);
      assert.deepEqual(called.invalid_tool_calls, []);
      const call = called.tool_calls![0]!;
      assert.equal(call.name, "turn_on");
      assert.deepEqual(Light.parse(call.args), call.args);
      const result: ToolMessage = await turnOn.invoke(call);
      const brief = client.chat(model, { maxTokens: 8, useResponsesApi });
      const next = await brief.bindTools([turnOn]).invoke([asked, called, result]);
      assert.ok(usageOf(next).input_tokens > usageOf(called).input_tokens + 16 * 6);
    }
  },

  async "a call that streams is put together by LangChain"({ client, model }) {
    const chat = client.chat(model, { maxTokens: 64 });
    const options = { tool_choice: "turn_on", parallel_tool_calls: false };
    const joined = join(await Array.fromAsync(await chat.bindTools([turnOn], options).stream(LIGHTS)));
    assert.equal(joined.tool_calls!.length, 1);
    assert.deepEqual(Light.parse(joined.tool_calls![0]!.args), joined.tool_calls![0]!.args);
  },

  async "structured output is what the schema says, by JSON schema and by a function"(subject) {
    const { client, model } = subject;
    for (const method of ["jsonSchema", "functionCalling"] as const) {
      const light = await client.chat(model).withStructuredOutput(Light, { method }).invoke(LIGHTS);
      assert.deepEqual(Light.parse(light), light);
    }
  },
};

const EMBEDDINGS: Checks<LangChain> = {
  async "documents and a question become vectors of one kind"({ client, embedder }) {
    const embeddings = client.embeddings(embedder);
    const documents = await embeddings.embedDocuments(["A raven sits on the roof.", "Interest rates fell again."]);
    const question = await embeddings.embedQuery("Where is the bird?");
    assert.deepEqual(documents.map(({ length }) => length), [384, 384]);
    const [near, far] = documents.map((vector) => vector.reduce((sum, value, at) => sum + value * question[at]!, 0));
    assert.ok(near! > far!);
  },
};

const FAILURES: Checks<LangChain> = {
  async "an unknown model and a prompt that is too long are errors that say so"({ client, model }) {
    await assert.rejects(client.chat("gpt-4").invoke(LIGHTS), (error: Error & { status?: number }) => {
      return error.status === 404 && error.message.includes(`"${model}"`);
    });
    for (const ask of [() => client.chat(model).invoke(TOO_LONG), () => client.chat(model).stream(TOO_LONG)]) {
      await assert.rejects(ask(), (error: Error) => {
        assert.ok(tellsBothNumbers(error.message), `${CONTEXT_TOKENS} is not in ${error.message}`);
        return true;
      });
    }
  },

  async "an answer that is left frees its place"({ client, model, rookery }) {
    const leaving = new AbortController();
    const reading = async () => {
      for await (const { content } of await client.chat(model).stream(STORY, { signal: leaving.signal })) {
        if (content !== "") leaving.abort();
      }
    };
    await assert.rejects(reading());
    await assertIdle(rookery);
  },
};

testClient("LangChain speaks to Rookery", {
  connect: (url) => new LangChain(url),
  checks: { ...CHATS, ...TOOLS, ...EMBEDDINGS, ...FAILURES },
});

function join([first, ...rest]: AIMessageChunk[]): AIMessageChunk {
  return rest.reduce((all, chunk) => all.concat(chunk), first!);
}

/** LangChain's own type of it comes out as `never`. */
function usageOf(message: AIMessageChunk): UsageMetadata {
  return message.usage_metadata as unknown as UsageMetadata;
}
