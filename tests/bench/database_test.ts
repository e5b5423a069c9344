import assert from "node:assert/strict";
import { Guest } from "../fixtures/guest.ts";
import { serve } from "../fixtures/http.ts";
import { openWholeHouse } from "../fixtures/whole_house.ts";
import { compareDatabases, furnish, measureHome } from "./database.ts";
import { renderTable } from "./table.ts";

const SIZES = { longMessages: 230, conversations: 5, rareEvery: 2, posts: 3, postsTogether: 2, repeats: 1 };
const HERE = { remoteAddr: { transport: "tcp" as const, hostname: "127.0.0.1", port: 50_000 } };

Deno.test("measureHome() asks a Rookery for what its table says, and refuses what is not all there", async () => {
  await using house = await openWholeHouse();
  const requests: string[] = [];
  await using server = serve({
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      requests.push(`${request.method} ${pathname}${search}`);
      return house.fetch(request, HERE);
    },
  });
  const furnished = await furnish(server, SIZES);
  const count = (pattern: RegExp) => requests.filter((request) => pattern.test(request)).length;
  assert.equal(count(/^POST .*\/import$/), 5);

  requests.length = 0;
  const measured = await measureHome(furnished, SIZES);
  const numbers = Object.values(measured);
  assert.ok(numbers.every((value) => value > 0 && Number.isFinite(value)), JSON.stringify(measured));
  assert.equal(count(/^POST .*\/messages$/), 3 + 8 * 2);
  assert.equal(count(/^GET .*\/path\?limit=200/), 2, "two pages of the longest size hold 230 messages");
  assert.equal(count(/^POST \/api\/auth\/login$/), 1 + SIZES.repeats);

  const guest = await Guest.logIn(server, "ada@example.org");
  const { data } = await guest.get(server, "GET /api/conversations?limit=1");
  const messages = await guest.get(server, `GET /api/conversations/${data[0].id}/messages`);
  assert.deepEqual(messages.data.map(({ depth }: { depth: number }) => depth), [0, 1]);

  const lines = renderTable([{ own: measured, other: measured }], compareDatabases(SIZES)).split("\n");
  assert.equal(lines.length, 2 + numbers.length, "every number is shown");
  assert.ok(lines.some((line) => line.startsWith("| opening a conversation of 230 messages at its end | ")));

  const few = { ...SIZES, posts: 1, postsTogether: 1 };
  await assert.rejects(measureHome(furnished, { ...few, longMessages: 231 }), /There were 230 instead of 231/);
  await assert.rejects(measureHome(furnished, { ...few, conversations: 7 }), /There were 2 instead of 3/);
});
