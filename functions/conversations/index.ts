import { resolve } from "node:path";
import { AnswerRunner } from "../../lib/conversations/answer_runner.ts";
import { MessageFeed } from "../../lib/conversations/message_feed.ts";
import { readSettings } from "../../lib/env.ts";
import { nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { createWorkerClient } from "../../lib/worker/client.ts";
import { openStandaloneAccounts } from "../_shared/standalone_accounts.ts";
import { WorkerFinder } from "../_shared/worker_finder.ts";
import { createApp } from "./app.ts";

const env = Deno.env.toObject();
const { database, edge } = await openStandaloneAccounts(env);
const { worker: path } = nameDataFolder(resolve(readSettings(env).dataDir));
const inference = new WorkerFinder({ path, connect: createWorkerClient });
const runner = await AnswerRunner.open({ database, inference, log: edge.log });
const feed = await MessageFeed.open(database);
const { fetch } = createApp({ database, runner, feed, edge });

export default { fetch };
