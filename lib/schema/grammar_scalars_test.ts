import assert from "node:assert/strict";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { assertPermits, assertRefused, grammarOf } from "../../tests/fixtures/grammars.ts";

Deno.test("Lengths count characters, however they are escaped", () => {
  assertPermits({ type: "string", minLength: 2, maxLength: 3 }, {
    yes: ['"ab"', '"😀é"', '"\\n\\u0041\\""', '"\\ud83d\\ude00x"'],
    no: ['"a"', '"abcd"', '"\\ud83d\\ude00"', '"\\ud83d"'],
  });
  assertPermits({ type: "string" }, {
    yes: ['"\\uD83D\\uDE00"', '"\\ud7ff\\ue000"', '"\\/\\b"', '"\u007f"'],
    no: ['"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83dx"', '"\\x41"', '"\n"', '"'],
  });
  const long = (length: number) => JSON.stringify("x".repeat(length));
  assertPermits({ type: "string", minLength: 400, maxLength: 3_000 }, {
    yes: [long(400), long(401), long(1_777), long(3_000)],
    no: [long(399), long(3_001)],
  });
});

Deno.test("Whole numbers keep their bounds exactly", () => {
  for (const [minimum, maximum] of [[-3, 12], [7, 7], [-120, -99], [95, 1_003], [-1, 1], [0, 999], [10, 99]] as const) {
    const grammar = new Gbnf(grammarOf({ type: "integer", minimum, maximum }));
    for (let value = minimum - 130; value <= maximum + 130; value++) {
      assert.equal(
        grammar.accepts(String(value)),
        minimum <= value && value <= maximum,
        `${minimum}…${maximum}: ${value}`,
      );
    }
  }
  assertPermits({ type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 10 }, {
    yes: ["1", "9"],
    no: ["0", "10", "-1", "01"],
  });
  assertPermits({ type: "integer", minimum: 0.5 }, { yes: ["1", "123456789"], no: ["0", "-1", "1.5"] });
  assertPermits({ type: "integer", minimum: -(2 ** 63), maximum: 2 ** 63 - 1 }, {
    yes: ["0", "-999999999999999"],
    no: ["1.0"],
  });
  assertPermits({ type: "integer", minimum: 5, exclusiveMinimum: true }, { yes: ["6"], no: ["5"] });
  assertPermits({ type: "integer", minimum: 5, exclusiveMinimum: 5 }, { yes: ["6"], no: ["5"] });
});

Deno.test("Numbers keep their bounds", () => {
  assertPermits({ type: "number", minimum: 0, maximum: 1 }, {
    yes: ["0", "1", "0.5", "1.0", "0.123456"],
    no: ["1.1", "-0.1", "2", "1.01", "1e0", ".5"],
  });
  assertPermits({ type: "number", exclusiveMinimum: -1.25, exclusiveMaximum: 0.05 }, {
    yes: ["-1.2", "-1.249", "0", "0.04", "0.049"],
    no: ["-1.25", "-1.250", "0.05", "0.050", "-2", "0.1"],
  });
  assertPermits({ type: "number", minimum: 12.5 }, {
    yes: ["12.5", "12.51", "13", "400.25"],
    no: ["12.4", "12", "1", "-13"],
  });
  assertPermits({ type: "number", maximum: -3 }, { yes: ["-3", "-3.5", "-20"], no: ["-2.9", "3", "0"] });
  assertPermits({ type: "number" }, { yes: ["1", "-0.5", "1e10", "2.5E-3"], no: ["01", "1.", "1e", "NaN", "+1"] });
});

Deno.test("multipleOf is held where it counts decimal places, or leaves few numbers between bounds", () => {
  assertPermits({ type: "number", multipleOf: 0.01, minimum: 0 }, { yes: ["1.25", "3"], no: ["1.255"] });
  assertPermits({ type: "number", multipleOf: 1 }, { yes: ["3"], no: ["3.5"] });
  assertRefused(
    { properties: { a: { multipleOf: 5 } } },
    /^Unsupported keyword "multipleOf" .* at parameters\.properties\.a$/,
  );
});

Deno.test("Formats permit what is one, and no day that never was", () => {
  const cases: [format: string, yes: string[], no: string[]][] = [
    ["date", ["2024-02-29", "2000-02-29", "1999-12-31"], [
      "2023-02-29",
      "1900-02-29",
      "2024-04-31",
      "24-1-1",
      "2024-13-01",
    ]],
    ["time", ["23:59:59Z", "00:00:00.5+05:30"], ["24:00:00Z", "12:00Z", "12:00:00"]],
    ["date-time", ["2024-02-29T12:00:00Z"], ["2024-02-29 12:00:00Z", "2024-02-30T12:00:00Z"]],
    ["uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000"]],
    ["email", ["a.b+c@example.org"], ["a@b", "a..b@example.org", "@example.org", "a b@example.org"]],
    ["ipv4", ["127.0.0.1", "255.255.255.255"], ["256.0.0.1", "1.2.3", "01.2.3.4"]],
    ["ipv6", ["::1", "fe80::1:2", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "::"], ["1::2::3", "1:2:3:4:5:6:7", "12345::"]],
    ["hostname", ["localhost", "a-b.example.org"], ["-a.org", "a..b", "a_b", `${"a".repeat(64)}.org`]],
    ["uri", ["https://example.org/a?b#c", "mailto:a@b"], ["/relative", "a b:c", "https://example.org/ü"]],
  ];
  for (const [format, yes, no] of cases) {
    assertPermits({ type: "string", format }, {
      yes: yes.map((text) => JSON.stringify(text)),
      no: no.map((text) => JSON.stringify(text)),
    });
  }
  assertPermits({ type: "string", format: "unheard-of" }, { yes: ['"anything"'], no: [] });
  assertPermits({ format: "date" }, { yes: ['"2024-01-01"'], no: ['"x"'] });
});
