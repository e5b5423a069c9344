import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { Disk, type DiskOperation } from "../../tests/fixtures/power_cut.ts";
import { Random } from "../../tests/fixtures/random.ts";
import { DomainError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { openPglite, type PgliteDatabase } from "./pglite.ts";

type Line = DiskOperation | { type: "acknowledged"; id: number };

function open(folder: string, createWorker?: () => Worker): Promise<PgliteDatabase> {
  const options = { folder, upkeepMs: null, log: silentLogger };
  return openPglite(createWorker === undefined ? options : { ...options, createWorker });
}

async function inFolder(work: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await work(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** A folder with an empty table `acknowledged`. */
async function prepare(folder: string): Promise<void> {
  await using database = await openPglite({ folder, upkeepMs: null, log: silentLogger });
  await database.asOwner((session) =>
    session.query(
      "create table acknowledged (id int primary key, text text not null);" +
        "create index on acknowledged (text); create extension amcheck",
    )
  );
}

/** Writes rows of all sizes with a journal of what reaches the disk; the last rows stay behind a checkpoint. */
async function writeWithJournal(folder: string, journal: string): Promise<Line[]> {
  const createWorker = () =>
    new Worker(new URL("../../tests/fixtures/power_cut_worker.ts", import.meta.url), { type: "module", name: journal });
  {
    await using database = await open(folder, createWorker);
    using notes = await Deno.open(journal, { append: true });
    for (let id = 1; id <= 60; id++) {
      await database.asOwner(async (session) => {
        await session.query("insert into acknowledged values ($1, repeat($2, $3))", [id, `row ${id}`, id % 7 * 400]);
        if (id % 10 === 0) await session.query("update acknowledged set text = text || '!' where id % 3 = 0");
      });
      const line: Line = { type: "acknowledged", id };
      await notes.write(new TextEncoder().encode(JSON.stringify(line) + "\n"));
      if (id === 40) await database.checkpoint();
    }
  }
  const lines = (await Deno.readTextFile(journal)).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** The rows that are there, after a look at the indexes. */
async function readRows(folder: string): Promise<number[]> {
  await using database = await open(folder);
  return await database.asOwner(async (session) => {
    await session.query(
      "select bt_index_check(indexrelid, true) from pg_index where indrelid = 'acknowledged'::regclass",
    );
    const rows = await session.query<{ id: number }>("select id from acknowledged order by id");
    return rows.map(({ id }) => id);
  });
}

Deno.test("A power cut at any moment loses nothing that was acknowledged", () =>
  inFolder(async (root) => {
    await prepare(`${root}/pg`);
    cpSync(`${root}/pg`, `${root}/snapshot`, { recursive: true });
    const lines = await writeWithJournal(`${root}/pg`, `${root}/journal`);
    const acknowledged = lines.flatMap((line, at) => line.type === "acknowledged" ? [{ at, id: line.id }] : []);
    assert.equal(acknowledged.length, 60);
    assert.ok(lines.filter(({ type }) => type === "sync").length >= 60, "Each commit waits for the disk");

    const random = new Random(7);
    // Right behind an acknowledgement nothing may be owed any more; anywhere else something may be half done.
    const moments = [
      acknowledged[5]!.at,
      acknowledged[59]!.at,
      ...[0, 1].map(() => random.between(1, lines.length - 1)),
    ];
    for (const [round, last] of moments.entries()) {
      const disk = new Disk(`${root}/pg`, `${root}/snapshot`);
      for (const line of lines.slice(0, last + 1)) if (line.type !== "acknowledged") disk.apply(line);
      const target = `${root}/after${round}`;
      disk.cutPower(target, round % 2 === 0 ? () => false : () => random.once(2));
      const rows = await readRows(target);
      const owed = acknowledged.filter(({ at }) => at <= last).map(({ id }) => id);
      assert.deepEqual(rows.slice(0, owed.length), owed, `Cut behind line ${last}`);
      // At most the one that was being committed came through without having been acknowledged.
      assert.ok(rows.length <= owed.length + 1, `Cut behind line ${last}`);
    }

    // Were the disk not waited for, as PGlite comes, the same cut would lose all of them: the disk here does forget.
    const careless = new Disk(`${root}/pg`, `${root}/snapshot`);
    for (const line of lines) if (line.type !== "acknowledged" && line.type !== "sync") careless.apply(line);
    careless.cutPower(`${root}/careless`, () => false);
    assert.deepEqual(await readRows(`${root}/careless`), []);
  }));

Deno.test("kill -9 in the middle of writing loses nothing that was acknowledged", () =>
  inFolder(async (root) => {
    await prepare(`${root}/pg`);
    const random = new Random(11);
    let seen = 0;
    for (let round = 0; round < 4; round++) {
      const args = [
        "run",
        "-A",
        "--quiet",
        new URL("../../tests/fixtures/writing_process.ts", import.meta.url).pathname,
      ];
      const command = new Deno.Command(Deno.execPath(), {
        args: [...args, `${root}/pg`, String(seen + 1)],
        stdout: "piped",
      });
      const child = command.spawn();
      const wanted = seen + random.between(3, 60);
      let text = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        seen = Number(text.trimEnd().split("\n").at(-1));
        if (seen >= wanted) child.kill("SIGKILL");
      }
      await child.status;
      // What the pipe still held was acknowledged, too.
      const rows = await readRows(`${root}/pg`);
      assert.deepEqual(rows.slice(0, seen), Array.from({ length: seen }, (_, at) => at + 1));
      assert.ok(seen >= wanted, `The process wrote ${seen} rows`);
      seen = rows.length;
    }
  }));

Deno.test("A second process is refused the folder, and the first goes on", () =>
  inFolder(async (root) => {
    await prepare(`${root}/pg`);
    await using first = await open(`${root}/pg`);
    await assert.rejects(() => open(`${root}/pg`), (error) => {
      assert.ok(error instanceof DomainError);
      assert.equal(error.code, "already_running");
      assert.match(error.message, /another process has it open/);
      return true;
    });
    await first.asOwner((session) => session.query("insert into acknowledged values (1, 'x')"));
    await first[Symbol.asyncDispose]();
    assert.deepEqual(await readRows(`${root}/pg`), [1]);
  }));

Deno.test("A new folder appears whole or not at all, also behind a start that was cut short", () =>
  inFolder(async (root) => {
    await Deno.mkdir(`${root}/pg.part/base`, { recursive: true });
    await Deno.writeTextFile(`${root}/pg.part/PG_VERSION`, "18\n");
    await prepare(`${root}/pg`);
    assert.deepEqual(await readRows(`${root}/pg`), []);
    const names = Array.from(Deno.readDirSync(root), ({ name }) => name).toSorted();
    assert.deepEqual(names, ["pg", "pg.lock", "pg.thread.lock"]);
  }));
