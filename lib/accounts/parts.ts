import type { Database } from "../database/database.ts";
import type { Logger } from "../log.ts";
import type { AccessTokens } from "./access_tokens.ts";
import type { Mailer } from "./mail.ts";
import type { Passwords } from "./passwords.ts";
import type { RateLimits } from "./rate_limits.ts";

/** What accounts stand on. */
export interface AccountParts {
  database: Database;
  passwords: Passwords;
  tokens: AccessTokens;
  limits: RateLimits;
  /** How letters go out, or null: then an administrator hands out links. */
  mail: { mailer: Mailer; publicUrl: string } | null;
  log: Logger;
  /** Milliseconds since 1970. */
  now(): number;
}
