import type { Complaints } from "./import_rules.ts";
import type { TextFile } from "./modules.ts";

/** Where packages come from is the business of whoever installs: a registry's host in a file would decide it for them. */
const REGISTRY_HOST =
  /\b(registry\.[a-z]|npmjs\.(org|com)|npmmirror\.|pypi\.org|pythonhosted\.|jsr\.io\b|crates\.io\b)/;

/** Paths that exist on one machine only; `/home/me` and `/home/user` are anybody's. */
const MACHINE_PATH =
  /(^|[^\w.~/-])\/(work|root|home\/(?!me\b|user\b)\w+|Users\/(?!me\b|user\b)\w+|tmp\/lab)\/|[A-Z]:\\Users/;

/** Hosts of package registries, and paths of somebody's machine. */
export function findForeignPlaces(files: TextFile[]): Complaints {
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) => {
      const found = REGISTRY_HOST.exec(line)?.[0] ?? MACHINE_PATH.exec(line)?.[0];
      return found === undefined ? [] : [`${path}:${index + 1} names ${found.trim()}`];
    })
  );
}

/** An address in the lock file pins where packages come from. */
export function findLockedAddresses(files: TextFile[]): Complaints {
  return files.filter(({ path }) => path === "deno.lock").flatMap(({ path, text }) =>
    [...text.matchAll(/https?:\/\/[^"]*/g)].map(([address]) => `${path} names ${address}`)
  );
}

/** Folders and files by the rule of their place: the first pattern that matches the beginning decides. */
const NAMES: [place: RegExp, name: RegExp, style: string][] = [
  [/^(islands|routes\/.*\(_islands\))\//, /^[A-Z][A-Za-z0-9]*\.tsx$/, "PascalCase.tsx"],
  [/^(routes|static|supabase)\//, /./, ""],
  [/^models\//, /^[a-z0-9]+([.-][a-z0-9]+)*\.json$/, "kebab-case.json"],
  [/^functions\/(?!_shared\/|[a-z]+(-[a-z]+)*\/)/, /^$/, "kebab-case folders"],
  [/^(lib|functions|cli|tests)\//, /^[a-z0-9]+(_[a-z0-9]+)*(\.d)?\.[a-z0-9]+$/, "snake_case"],
];

/** File names that do not follow the style of their folder. */
export function findMisnamedFiles(files: TextFile[]): Complaints {
  return files.flatMap(({ path }) => {
    const rule = NAMES.find(([place]) => place.test(path));
    const name = path.split("/").at(-1) ?? "";
    return rule === undefined || rule[1].test(name) ? [] : [`${path} is not named in ${rule[2]}`];
  });
}

/** What README and CONTRIBUTING say of `config`, deno.json: every dependency explained, every command a task. */
export function findDocumentationGaps(files: TextFile[], config: { imports: object; tasks: object }): Complaints {
  const documents = files.filter(({ path }) => /^[A-Z_]+\.md$/.test(path));
  const commands = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\bdeno(?:@[\d.]+)? task ([\w:-]+)/g)]
      .filter(([, task]) => !Object.hasOwn(config.tasks, task ?? ""))
      .map(([command]) => `${path} shows "${command}", which is no task of deno.json`)
  );
  const contributing = documents.find(({ path }) => path === "CONTRIBUTING.md")?.text ?? "";
  const unexplained = Object.keys(config.imports).filter((name) => !contributing.includes(`\`${name}\``))
    .map((name) => `CONTRIBUTING.md does not say why there is \`${name}\``);
  return [...commands, ...unexplained];
}

/** Every place that pins Deno must pin the same one. */
export function findDenoVersionsThatDiffer(files: TextFile[]): Complaints {
  const pins = files.filter(({ path }) => !path.endsWith("_test.ts")).flatMap(({ path, text }) =>
    [...text.matchAll(/\bdeno@(\d+\.\d+\.\d+)/g)].map(([, version]) => ({ path, version }))
  );
  const first = pins[0];
  return pins.filter(({ version }) => version !== first?.version)
    .map(({ path, version }) => `${path} pins Deno ${version}, ${first?.path} pins ${first?.version}`);
}

/** The README's table of settings must be the one that `lib/env.ts` renders. Column widths are the formatter's. */
export function findSettingsThatDiffer(files: TextFile[], rendered: string): Complaints {
  const normalise = (line: string) => line.replace(/-{3,}/g, "---").replace(/ +/g, " ").trim();
  const readme = files.find(({ path }) => path === "README.md")?.text.split("\n").map(normalise) ?? [];
  return rendered.trim().split("\n").map(normalise).filter((row) => !readme.includes(row))
    .map((row) => `README.md lacks this row of its settings: ${row}`);
}

/** The README numbers the invariants; each number must be there once, in order. */
export function findInvariantsThatAreMissing(files: TextFile[], count: number): Complaints {
  const readme = files.find(({ path }) => path === "README.md")?.text ?? "";
  const section = /\n## Invariants\n([^]*?)(\n## |$)/.exec(readme)?.[1] ?? "";
  const numbers = [...section.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
  const expected = Array.from({ length: count }, (_, index) => index + 1);
  return numbers.join() === expected.join() ? [] : [`README.md numbers the invariants ${numbers.join(", ")}`];
}

/** The README's table of exit codes must have a row for each of `codes`, and no other. */
export function findExitCodesThatDiffer(files: TextFile[], codes: Record<string, number>): Complaints {
  const readme = files.find(({ path }) => path === "README.md")?.text ?? "";
  const rows = [...readme.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
  const expected = Object.values(codes).toSorted((a, b) => a - b);
  return rows.join() === expected.join() ? [] : [`README.md lists the exit codes ${rows.join(", ")}`];
}

/** Every model that can be pulled must be in the README, with its licence. */
export function findUnlistedModels(files: TextFile[]): Complaints {
  const readme = files.find(({ path }) => path === "README.md")?.text ?? "";
  const rows = readme.split("\n").filter((line) => line.startsWith("| `"));
  return files.filter(({ path }) => path.startsWith("models/")).flatMap(({ path, text }) => {
    const { id, licence } = JSON.parse(text);
    const isListed = rows.some((row) => row.startsWith(`| \`${id}\``) && row.includes(licence.name));
    return isListed ? [] : [`README.md has no row for the model of ${path} with its licence, ${licence.name}`];
  });
}
