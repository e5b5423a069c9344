import { createWorkerClient } from "../../lib/worker/client.ts";
import { createStandalone } from "../_shared/standalone.ts";
import { createApp } from "./app.ts";

export default createStandalone(createApp, { env: Deno.env.toObject(), connect: createWorkerClient });
