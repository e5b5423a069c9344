import { openStandaloneAccounts } from "../_shared/standalone_accounts.ts";
import { createApp } from "./app.ts";

const { fetch } = createApp(await openStandaloneAccounts(Deno.env.toObject()));

export default { fetch };
