import assert from "node:assert/strict";
import { type ArgumentReader, JsonArgumentReader, lengthOfBeginning, XmlArgumentReader } from "./argument_reader.ts";

/** Everything that a reader tells, asked after every character; null when it was not the last that made it whole. */
function readAll(reader: ArgumentReader, text: string): string | null {
  let json = "";
  let taken = "more";
  for (const char of text) {
    taken = reader.take(char);
    json += reader.drain();
  }
  return taken === "last" ? json : null;
}

const readXml = (text: string) => readAll(new XmlArgumentReader((name) => name.startsWith("t")), text);

const parameter = (name: string, value: string) => `<parameter=${name}>\n${value}\n</parameter>\n`;

Deno.test("JsonArgumentReader ends where the outermost brace closes, whatever stands in strings", () => {
  for (const json of ["{}", '{"a": {"b": [1, {}]}}', '{"a": "}\\"}{", "b\\\\": "]"}', '{"é": "🏯"}']) {
    assert.equal(readAll(new JsonArgumentReader(), ` \n${json}`), json);
    assert.equal(readAll(new JsonArgumentReader(), json.slice(0, -1)), null);
  }
});

Deno.test("JsonArgumentReader takes nothing but an object", () => {
  for (const char of ["[", '"', "1", "n"]) assert.equal(new JsonArgumentReader().take(char), "misfit");
});

Deno.test("XmlArgumentReader turns texts into strings and the rest into what it is", () => {
  const text = parameter("text", 'say "hi"\n\\ done') + parameter("n", "12") + parameter("list", '[1, "x"]') +
    parameter("flag", "true") + "</function>";
  assert.deepEqual(JSON.parse(readXml(text)!), { text: 'say "hi"\n\\ done', n: 12, list: [1, "x"], flag: true });
});

Deno.test("XmlArgumentReader keeps every line and mark-up of a text", () => {
  const values = ["", "\n", "\nx\n", "</param>\n</path>", "a\n</parameters>", "\n</", "🏯 日本\n\t", "<parameter=n>"];
  for (const value of values) {
    assert.deepEqual(
      JSON.parse(readXml(`\n${parameter("t", value)}</function>`)!),
      { t: value },
      JSON.stringify(value),
    );
  }
});

Deno.test("XmlArgumentReader takes what should be JSON and is none as a text", () => {
  assert.deepEqual(JSON.parse(readXml(`${parameter("n", "about 12")}</function>`)!), { n: "about 12" });
  assert.equal(readXml("</function>"), "{}");
});

Deno.test("XmlArgumentReader notices what is no parameter", () => {
  const reader = new XmlArgumentReader(() => true);
  assert.deepEqual(
    [..."\n<para>"].map((char) => reader.take(char)),
    [..."\n<para"].map((): string => "more").concat("misfit"),
  );
});

Deno.test("lengthOfBeginning() finds the longest beginning of a marker at the end of a text, but never all of it", () => {
  assert.equal(lengthOfBeginning("ab<<to", "<tool>"), 3);
  assert.equal(lengthOfBeginning("ab", "<tool>"), 0);
  assert.equal(lengthOfBeginning("<tool>", "<tool>"), 0);
  assert.equal(lengthOfBeginning("", "<tool>"), 0);
});
