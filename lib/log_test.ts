import assert from "node:assert/strict";
import { DomainError } from "./errors.ts";
import { createLogger, type LogLevel, silentLogger } from "./log.ts";

function createTestLogger(level: LogLevel = "debug") {
  const lines: string[] = [];
  const log = createLogger({ level, write: (line) => lines.push(line), now: () => 0 });
  return { log, lines };
}

Deno.test("createLogger() writes one JSON object a line: time, level, event, fields", () => {
  const { log, lines } = createTestLogger();
  log.info("request", { status: 200, owner: null });
  assert.deepEqual(lines, [
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"request","status":200,"owner":null}\n',
  ]);
});

Deno.test("createLogger() keeps a line feed in a field from beginning a second line", () => {
  const { log, lines } = createTestLogger();
  log.warn("request", { path: '/a\n{"level":"error"}' });
  assert.equal(lines.length, 1);
  assert.equal(lines[0]!.indexOf("\n"), lines[0]!.length - 1);
});

Deno.test("createLogger() leaves out what is less important than its level", () => {
  const { log, lines } = createTestLogger("warn");
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(lines.map((line) => JSON.parse(line).event), ["c", "d"]);
});

Deno.test("createLogger() writes errors with their code and what led to them", () => {
  const { log, lines } = createTestLogger();
  log.error("failed", { error: new DomainError("engine_gone", "It ended", { cause: new TypeError("broken pipe") }) });
  const { error } = JSON.parse(lines[0]!);
  assert.equal(error.name, "DomainError");
  assert.equal(error.code, "engine_gone");
  assert.match(error.stack, /log_test/);
  assert.equal(error.cause.message, "broken pipe");
});

Deno.test("createLogger() survives fields that are no JSON and a writer that throws", () => {
  const { log, lines } = createTestLogger();
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  log.info("odd", { circular });
  log.info("big", { size: 12345678901234567890n });
  assert.deepEqual(lines.map((line) => JSON.parse(line).event), ["odd", "big"]);
  assert.equal(JSON.parse(lines[1]!).size, "12345678901234567890");

  const broken = createLogger({
    level: "info",
    write: () => {
      throw new Error("No space left on device");
    },
  });
  assert.doesNotThrow(() => broken.info("request"));
  assert.doesNotThrow(() => silentLogger.error("request"));
});
