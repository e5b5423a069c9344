import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { chooseExitCode, EXIT_CODES } from "./exit_codes.ts";

Deno.test("every reason not to start has an exit code of its own", () => {
  const codes = Object.values(EXIT_CODES);
  assert.equal(new Set(codes).size, codes.length);
  assert.equal(chooseExitCode(new DomainError("invalid_config", "x")), EXIT_CODES.config);
  assert.equal(chooseExitCode(new DomainError("port_busy", "x")), EXIT_CODES.portBusy);
  assert.equal(chooseExitCode(new DomainError("already_running", "x")), EXIT_CODES.secondInstance);
  assert.equal(chooseExitCode(new DomainError("disk_full", "x")), EXIT_CODES.diskFull);
  assert.equal(chooseExitCode(new DomainError("not_enough_memory", "x")), EXIT_CODES.memory);
  assert.equal(chooseExitCode(new DomainError("pull_failed", "x")), EXIT_CODES.model);
  assert.equal(chooseExitCode(new DomainError("database_unavailable", "x")), EXIT_CODES.database);
  assert.equal(chooseExitCode(new DomainError("data_incompatible", "x")), EXIT_CODES.database);
  assert.equal(chooseExitCode(new DomainError("model_busy", "x")), EXIT_CODES.model);
});

Deno.test("what nobody foresaw is neither success nor one of the named reasons", () => {
  for (const error of [new TypeError("x"), "x", null, new DomainError("queue_full", "x")]) {
    assert.equal(chooseExitCode(error), EXIT_CODES.unknown);
  }
});
