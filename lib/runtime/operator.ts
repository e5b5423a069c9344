/**
 * The operator: whoever may read the data folder of a running Rookery. A token in it, new at every start, lets command
 * lines do through the running one what they cannot do beside it.
 */
import { z } from "zod";
import { LOCAL, type Principal, type Principals } from "../accounts/principal.ts";
import { makeToken } from "../accounts/tokens.ts";
import { isSameSecret } from "../bearer.ts";
import { type DataFolder, replaceFile } from "./data_folder.ts";

const OperatorNote = z.object({
  url: z.url(),
  /** The certificate that it shows, in PEM form, or null when it speaks plain http. */
  cert: z.string().nullable(),
  token: z.string(),
});

/** Where a running Rookery is, and what the operator shows it as a Bearer. */
export type OperatorNote = z.infer<typeof OperatorNote>;

/** The principal of who shows the operator's token. */
export const OPERATOR: Principal = { ...LOCAL, kind: "key", keyId: "operator" };

/** Lets the operator in, beside everybody whom `principals` lets in. */
export function admitOperator(principals: Principals): { principals: Principals; token: string } {
  const token = makeToken();
  return {
    token,
    principals: {
      resolve: (credentials) => {
        const isOperator = credentials.bearer !== null && isSameSecret(credentials.bearer, token);
        return isOperator ? Promise.resolve(OPERATOR) : principals.resolve(credentials);
      },
      watch: (principal) => principals.watch(principal),
    },
  };
}

/**
 * Writes down how the operator reaches the running Rookery, for the owner of the folder alone.
 *
 * @throws {Error} what the file system says.
 */
export function noteOperator(folder: DataFolder, note: OperatorNote): void {
  replaceFile(folder.operator, JSON.stringify(note) + "\n");
}

/** How the operator reaches the Rookery that runs on a data folder, or null when none has said so. */
export async function readOperator(folder: DataFolder): Promise<OperatorNote | null> {
  try {
    return OperatorNote.parse(JSON.parse(await Deno.readTextFile(folder.operator)));
  } catch {
    return null;
  }
}
