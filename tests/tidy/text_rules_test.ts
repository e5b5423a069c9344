import assert from "node:assert/strict";
import * as rules from "./text_rules.ts";

const host = ["registry", "npmjs", "org"].join(".");

Deno.test("findForeignPlaces() finds registries and paths of one machine", () => {
  const places = [
    `https://${host}/x`,
    ["pypi", "org"].join("."),
    ["", "root", "x"].join("/"),
    ["", "home", "ann", "x"].join("/"),
  ];
  for (const place of places) {
    assert.match(rules.findForeignPlaces([{ path: "a.md", text: `\nsee ${place}` }]).join(), /^a\.md:2 names /, place);
  }
  assert.deepEqual(rules.findForeignPlaces([{ path: "a.md", text: "pypi:x==1!y npm:zod ./work/x ~/data/root/x" }]), []);
});

Deno.test("findLockedAddresses() finds where a package would be taken from", () => {
  const complaints = rules.findLockedAddresses([{ path: "deno.lock", text: `{"tarball": "https://${host}/a.tgz"}` }]);
  assert.equal(complaints.length, 1);
  assert.deepEqual(rules.findLockedAddresses([{ path: "deno.lock", text: '{"integrity": "sha512-x"}' }]), []);
});

Deno.test("findMisnamedFiles() knows the style of each folder", () => {
  const bad = [
    "lib/chatEngine.ts",
    "lib/chat-engine.ts",
    "functions/ChatCompletions/app.ts",
    "functions/chat_x/app.ts",
    "models/Smol_LM.json",
    "islands/composer.tsx",
    "tests/runTests.ts",
  ];
  for (const path of bad) assert.equal(rules.findMisnamedFiles([{ path, text: "" }]).length, 1, path);
  const good = [
    "lib/chat_engine.ts",
    "functions/chat-completions/app_test.ts",
    "functions/_shared/mount.ts",
    "README.md",
    "models/llama-3.2-3b-instruct.json",
    "islands/Composer.tsx",
    "routes/c/(_islands)/Composer.tsx",
    "main.ts",
  ];
  for (const path of good) assert.deepEqual(rules.findMisnamedFiles([{ path, text: "" }]), [], path);
});

Deno.test("findDocumentationGaps() finds unknown commands and unexplained dependencies", () => {
  const files = [
    { path: "README.md", text: "`npx -y deno@1.2.3 task start` and `deno task fly`" },
    { path: "CONTRIBUTING.md", text: "| `zod` | schemas |" },
  ];
  assert.deepEqual(rules.findDocumentationGaps(files, { imports: { zod: "", hono: "" }, tasks: { start: "" } }), [
    'README.md shows "deno task fly", which is no task of deno.json',
    "CONTRIBUTING.md does not say why there is `hono`",
  ]);
  assert.deepEqual(rules.findDocumentationGaps(files, { imports: { zod: "" }, tasks: { start: "", fly: "" } }), []);
});

Deno.test("findDenoVersionsThatDiffer() compares every pin with the first", () => {
  const pin = (path: string, version: string) => ({ path, text: `npx -y deno@${version} task test` });
  assert.deepEqual(rules.findDenoVersionsThatDiffer([pin("a", "1.2.3"), pin("b", "1.2.3")]), []);
  assert.deepEqual(rules.findDenoVersionsThatDiffer([pin("a", "1.2.3"), pin("b", "1.2.4")]), [
    "b pins Deno 1.2.4, a pins 1.2.3",
  ]);
});

Deno.test("findSettingsThatDiffer() compares rows and lets columns be as wide as they like", () => {
  const rendered = "| Variable | Default |\n| --- | --- |\n| `HOST` | `127.0.0.1` |\n";
  const readme = (text: string) => [{ path: "README.md", text }];
  assert.deepEqual(
    rules.findSettingsThatDiffer(
      readme("x\n| Variable | Default     |\n| -------- | ----------- |\n| `HOST`   | `127.0.0.1` |"),
      rendered,
    ),
    [],
  );
  assert.deepEqual(rules.findSettingsThatDiffer(readme(rendered.replace("127.0.0.1", "0.0.0.0")), rendered), [
    "README.md lacks this row of its settings: | `HOST` | `127.0.0.1` |",
  ]);
});

Deno.test("findInvariantsThatAreMissing() counts the numbers of that section alone", () => {
  const readme = (
    text: string,
  ) => [{ path: "README.md", text: `# R\n\n## Invariants\n\n${text}\n\n## Next\n\n3. x\n` }];
  assert.deepEqual(rules.findInvariantsThatAreMissing(readme("1. a\n2. b"), 2), []);
  assert.equal(rules.findInvariantsThatAreMissing(readme("1. a\n3. b"), 2).length, 1);
  assert.equal(rules.findInvariantsThatAreMissing([], 2).length, 1);
});

Deno.test("findExitCodesThatDiffer() wants every code in the README, and no other", () => {
  const readme = [{ path: "README.md", text: "| code | what |\n| ---- | --- |\n| 0    | good |\n| 2    | bad |\n" }];
  assert.deepEqual(rules.findExitCodesThatDiffer(readme, { bad: 2, good: 0 }), []);
  assert.equal(rules.findExitCodesThatDiffer(readme, { bad: 2, good: 0, worse: 3 }).length, 1);
  assert.equal(rules.findExitCodesThatDiffer(readme, { good: 0 }).length, 1);
});

Deno.test("findUnlistedModels() wants a row with the licence for each model", () => {
  const model = { path: "models/x.json", text: '{"id": "x", "licence": {"name": "MIT"}}' };
  const readme = (row: string) => ({ path: "README.md", text: `${row}\n` });
  assert.deepEqual(rules.findUnlistedModels([model, readme("| `x` | 1 MB | MIT |")]), []);
  assert.equal(rules.findUnlistedModels([model, readme("| `x` | 1 MB | BSD |")]).length, 1);
  assert.equal(rules.findUnlistedModels([model, readme("`x`, MIT")]).length, 1);
});
