import { z } from "zod";
import { ACCOUNT_SETTINGS } from "./env_accounts.ts";
import { DomainError } from "./errors.ts";
import { defineSetting, httpUrl, list, path, type Setting, word } from "./setting.ts";

const wholeNumber = (minimum: number, maximum: number) =>
  z.string().regex(/^\d{1,9}$/).transform(Number).pipe(z.number().min(minimum).max(maximum));

/** Up to here a bare number counts gigabytes, beyond it bytes: nobody has so many of the ones or so few of the others. */
const GIGABYTES_MAX = 1_000_000;

const byteSize = z.string().regex(/^\d{1,15}(\.\d{1,3})?$/).transform(Number)
  .transform((number) => Math.round(number <= GIGABYTES_MAX ? number * 1e9 : number));

const MINUTE_MS = 60_000;
const DURATION_UNITS_MS: Record<string, number> = { s: 1_000, m: MINUTE_MS, h: 60 * MINUTE_MS };

/** Milliseconds of a duration such as `90s`, `5m` or `1h`; -1 stands for ever. */
const duration = z.string().regex(/^(-1|0|\d{1,6}[smh])$/).transform((text) =>
  text === "-1" ? -1 : parseInt(text) * (DURATION_UNITS_MS[text.at(-1)!] ?? 0)
);

/** What stands behind the user is the driver's to read, such as `?sslmode=require`. */
const databaseUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== "" && url.username !== "";
});

/** A host as a Host header carries it, with or without a port. */
const hostPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?$/i;

const originPattern = /^([a-z][a-z0-9+.-]*:\/\/[^\s/?#,]+|\*)$/i;

/** A server of `ROOKERY_REMOTES`. */
interface RemoteSetting {
  /** The first part of its models' ids. */
  name: string;
  url: string;
}

/** `name=rest`, as remote servers and their keys are listed; a name is what stands before the first slash of an id. */
const named = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}=./i).transform((text) => {
  const at = text.indexOf("=");
  return { name: text.slice(0, at), value: text.slice(at + 1) };
});

/** An address without credentials, which would be shown in messages, and without a query, which would be cut off. */
const remoteUrl = httpUrl.refine((text) => {
  const url = URL.parse(text);
  return url !== null && url.username + url.password + url.search + url.hash === "";
});

const remotes = list.pipe(z.array(
  named.transform(({ name, value }): RemoteSetting => ({ name, url: value }))
    .pipe(z.object({ name: z.string(), url: remoteUrl })),
)).refine((all) => new Set(all.map(({ name }) => name)).size === all.length);

const remoteKeys = list.pipe(z.array(named)).transform((all) => new Map(all.map(({ name, value }) => [name, value])));

/** Fewest characters of a key: what a password manager makes in its shortest setting. */
const API_KEY_CHARACTERS_MIN = 16;

/** Every setting of Rookery. The README's table is {@linkcode renderSettings} of it. */
export const SETTINGS = {
  host: defineSetting({
    name: "HOST",
    default: "127.0.0.1",
    description: "Address to listen on. Anything but loopback is refused without TLS, a proxy that speaks it, or " +
      "`ROOKERY_API_KEY`.",
    expected: "an IP address or a host name of this machine, such as 127.0.0.1 or 0.0.0.0",
    schema: z.union([z.ipv4(), z.ipv6(), z.string().regex(/^(?=.*[a-z])[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i)]),
  }),
  port: defineSetting({
    name: "PORT",
    default: "8000",
    description: "Port to listen on; 0 takes any free one.",
    expected: "a whole number from 0 to 65535",
    schema: wholeNumber(0, 65_535),
  }),
  dataDir: defineSetting({
    name: "ROOKERY_DATA",
    default: "./data",
    description:
      "Folder of everything that Rookery writes: models, the embedded database, caches. One running Rookery a folder.",
    expected: "the path of a folder, without commas",
    schema: path,
  }),
  databaseUrl: defineSetting({
    name: "DATABASE_URL",
    default: null,
    description: "Postgres that accounts and conversations are kept in, such as that of Supabase: " +
      "`postgres://user:password@host:5432/postgres`, as the owner of its schemas. Unset: an embedded one in the folder " +
      "of data.",
    expected: "an address that begins with postgres:// and names a host and a user",
    secret: true,
    schema: databaseUrl,
  }),
  modelId: defineSetting({
    name: "ROOKERY_MODEL",
    default: "smollm2-135m",
    description: "Model that is loaded at the start and named first; others are loaded when they are asked for. " +
      "`deno task models list` shows what there is.",
    expected: "the id of a model, as `deno task models list` shows it",
    schema: z.string().max(128).regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/),
  }),
  apiKey: defineSetting({
    name: "ROOKERY_API_KEY",
    default: null,
    description: `Key that every client must send as \`Authorization: Bearer …\`, at least ${API_KEY_CHARACTERS_MIN} ` +
      "characters. With it only `/health` is open.",
    expected: `at least ${API_KEY_CHARACTERS_MIN} letters, digits and signs without spaces`,
    secret: true,
    schema: word.min(API_KEY_CHARACTERS_MIN),
  }),
  memoryBytes: defineSetting({
    name: "ROOKERY_MEMORY",
    default: null,
    description: "Memory that models may take together, in gigabytes (or bytes): who fits is served, who is not used " +
      "makes room. Unset: 85 % of what is free at the start.",
    expected: "gigabytes such as 12 or 7.5, or a number of bytes, of at least 0.1 GB",
    schema: byteSize.pipe(z.number().min(100_000_000)),
  }),
  kvBytes: defineSetting({
    name: "ROOKERY_KV_DISK",
    default: "4",
    description:
      "Disk for what was computed of conversations, in gigabytes (or bytes), so that they continue at once " +
      "when others had their place in memory, and after a restart; 0 keeps nothing of them on disk.",
    expected: "gigabytes such as 4 or 0.5, or a number of bytes",
    schema: byteSize,
  }),
  keepAliveMs: defineSetting({
    name: "ROOKERY_KEEP_ALIVE",
    default: "5m",
    description:
      "How long a model stays loaded after its last answer, unless the request says otherwise: `90s`, `5m`, " +
      "`1h`, `0` not at all, `-1` for ever. The model of `ROOKERY_MODEL` stays for ever.",
    expected: "a duration such as 90s, 5m or 1h, or 0, or -1",
    schema: duration,
  }),
  contextTokens: defineSetting({
    name: "ROOKERY_CONTEXT",
    default: null,
    description: "Tokens of one conversation. Unset: what the model was trained for, at most 32,768, as memory allows.",
    expected: "a whole number of tokens from 256 to 1048576",
    schema: wholeNumber(256, 1_048_576),
  }),
  sequences: defineSetting({
    name: "ROOKERY_SEQUENCES",
    default: null,
    description: "Conversations that are answered at the same time. Unset: 4, or fewer as memory allows.",
    expected: "a whole number from 1 to 64",
    schema: wholeNumber(1, 64),
  }),
  queuedMax: defineSetting({
    name: "ROOKERY_QUEUE",
    default: "64",
    description: "Requests that may wait for a model; one more is answered with 429.",
    expected: "a whole number from 0 to 10000",
    schema: wholeNumber(0, 10_000),
  }),
  gpu: defineSetting({
    name: "ROOKERY_GPU",
    default: "off",
    description: "`auto` uses a GPU when the installed llama.cpp build can.",
    expected: '"off" or "auto"',
    schema: z.enum(["off", "auto"]).transform((choice) => choice === "auto"),
  }),
  workers: defineSetting({
    name: "ROOKERY_WORKERS",
    default: "1",
    description:
      "Processes that hold models, each with its share of the memory and the cores. More than one pays for " +
      "small models with many conversations at the same time.",
    expected: "a whole number from 1 to 16",
    schema: wholeNumber(1, 16),
  }),
  remotes: defineSetting({
    name: "ROOKERY_REMOTES",
    default: "",
    description:
      "Other servers that speak OpenAI's API, as `name=address` separated by commas; their models are called " +
      "`name/model`.",
    expected: "names (letters, digits, dashes) and http addresses without credentials, each name once, such as " +
      "gpu=http://192.168.1.30:8080,desk=http://desk.lan:8000",
    schema: remotes,
  }),
  remoteKeys: defineSetting({
    name: "ROOKERY_REMOTE_KEYS",
    default: "",
    description: "Keys for servers of `ROOKERY_REMOTES`, as `name=key` separated by commas.",
    expected: "names of servers and their keys, such as gpu=secret,desk=another",
    secret: true,
    schema: remoteKeys,
  }),
  ...ACCOUNT_SETTINGS,
  allowedHosts: defineSetting({
    name: "ROOKERY_ALLOWED_HOSTS",
    default: "",
    description: "More names that clients may reach Rookery by (the Host header), separated by commas.",
    expected: "host names separated by commas, such as rookery.lan,192.168.1.20",
    schema: list.pipe(z.array(z.string().regex(hostPattern))),
  }),
  allowedOrigins: defineSetting({
    name: "ROOKERY_ALLOWED_ORIGINS",
    default: "",
    description: "Web pages of other origins that may call Rookery from a browser, separated by commas.",
    expected: "origins separated by commas, such as https://chat.example.org,vscode-file://vscode-app",
    schema: list.pipe(z.array(z.string().regex(originPattern))),
  }),
  logLevel: defineSetting({
    name: "ROOKERY_LOG_LEVEL",
    default: "info",
    description: "Least important lines that are logged: `debug`, `info`, `warn` or `error`.",
    expected: '"debug", "info", "warn" or "error"',
    schema: z.enum(["debug", "info", "warn", "error"]),
  }),
  logFile: defineSetting({
    name: "ROOKERY_LOG_FILE",
    default: null,
    description: "File that log lines are appended to. Unset: standard error.",
    expected: "the path of a file, without commas",
    schema: path,
  }),
  hfEndpoint: defineSetting({
    name: "HF_ENDPOINT",
    default: "https://huggingface.co",
    description: "Hub that `hf:` sources are fetched from, for mirrors.",
    expected: "an http or https address",
    schema: httpUrl.transform((url) => url.replace(/\/+$/, "")),
  }),
  hfToken: defineSetting({
    name: "HF_TOKEN",
    default: null,
    description: "Token for models that the hub gives out only after their licence was accepted.",
    expected: "a token without spaces",
    secret: true,
    schema: word,
  }),
  httpsProxy: defineSetting({
    name: "HTTPS_PROXY",
    default: null,
    description: "Proxy for downloads.",
    expected: "an address such as http://proxy.lan:3128",
    secret: true,
    schema: z.string().regex(/^\S+$/),
  }),
} as const;

type Table = typeof SETTINGS;

type SettingValue<Row> = Row extends { schema: z.ZodType<infer Value>; default: infer Default }
  ? Value | (Default extends null ? null : never)
  : never;

/** What the environment says, each value checked; null where it says nothing and there is no default. */
export type Settings = { readonly [Key in keyof Table]: SettingValue<Table[Key]> };

/**
 * Reads the settings from an environment. Unset and empty variables take their default.
 *
 * @throws {DomainError} `invalid_config` that names the variable and what would be right; also for a `ROOKERY_*`
 *   variable that does not exist, a public `HOST` that is open to everybody or to be read by everybody, a key for a server
 *   that is not named, and a setting without those that belong to it.
 */
export function readSettings(env: Record<string, string>): Settings {
  refuseUnknownNames(env);
  const values = Object.entries(SETTINGS).map(([key, setting]) => [key, readSetting(setting, env)]);
  const settings = Object.fromEntries(values) as Settings;
  refuseOpenHost(settings);
  refuseHalves(settings);
  refuseLostKeys(settings);
  return settings;
}

/** What other machines reach asks for a key or an account, and nobody on the way reads what an account is opened with. */
function refuseOpenHost(settings: Settings): void {
  const { host, apiKey, tlsCert, allowHttp, publicUrl, trustedProxies } = settings;
  const hasProxy = publicUrl?.startsWith("https:") === true && trustedProxies.length > 0;
  if (isLoopback(host) || apiKey !== null || tlsCert !== null || hasProxy || allowHttp) return;
  throw new DomainError(
    "invalid_config",
    `HOST is "${host}", which other machines can reach: set ROOKERY_API_KEY to ${SETTINGS.apiKey.expected}; or, for ` +
      "accounts, TLS_CERT and TLS_KEY, or PUBLIC_URL and TRUSTED_PROXIES for a proxy that speaks TLS, or, in a network " +
      "that you trust, ROOKERY_ALLOW_HTTP=on; or set HOST to 127.0.0.1",
    { param: "HOST" },
  );
}

/** Settings that mean something together alone; the first one names the others. */
const TOGETHER: readonly (readonly (keyof Settings)[])[] = [
  ["tlsCert", "tlsKey"],
  ["smtpUrl", "smtpFrom"],
  ["githubClientId", "githubClientSecret"],
  ["appleClientId", "appleTeamId", "appleKeyId", "appleKeyFile"],
];

function refuseHalves(settings: Settings): void {
  for (const group of TOGETHER) {
    const missing = group.find((key) => settings[key] === null);
    const given = group.find((key) => settings[key] !== null);
    if (missing !== undefined && given !== undefined) refuseWithout(given, missing);
  }
  const { publicUrl } = settings;
  if (settings.smtpUrl !== null && publicUrl === null) refuseWithout("smtpUrl", "publicUrl");
  if (settings.appleClientId !== null && publicUrl?.startsWith("https:") !== true) {
    refuseWithout("appleClientId", "publicUrl");
  }
}

function refuseWithout(given: keyof Settings, missing: keyof Settings): never {
  const [name, other] = [SETTINGS[given].name, SETTINGS[missing].name];
  const kind = missing === "publicUrl" ? ", an https address" : "";
  throw new DomainError("invalid_config", `${name} is set, but not ${other}${kind}; they need each other`, {
    param: other,
  });
}

/** A key that is for no server was meant for one whose name is written otherwise. */
function refuseLostKeys({ remotes, remoteKeys }: Settings): void {
  const lost = [...remoteKeys.keys()].find((name) => !remotes.some((remote) => remote.name === name));
  if (lost === undefined) return;
  const message = `ROOKERY_REMOTE_KEYS has a key for "${lost}", which ROOKERY_REMOTES does not name`;
  throw new DomainError("invalid_config", message, { param: "ROOKERY_REMOTE_KEYS" });
}

function readSetting(setting: Setting<unknown>, env: Record<string, string>): unknown {
  const given = env[setting.name]?.trim();
  const text = given === undefined || given === "" ? setting.default : given;
  if (text === null) return null;
  const result = setting.schema.safeParse(text);
  if (result.success) return result.data;
  const shown = setting.secret ? "what it holds is not" : `it is ${JSON.stringify(hideSecrets(text))}`;
  throw new DomainError("invalid_config", `${setting.name} must be ${setting.expected}; ${shown}`, {
    param: setting.name,
  });
}

/** A wrong value without what addresses may carry, from the first that has a password to the end of the last. */
function hideSecrets(text: string): string {
  return text.replace(/\/\/.*@/s, "//…@").replace(/\?[^,]*/g, "?…");
}

/** Variables of this project's own tests, which a Rookery that they start may inherit. */
const TEST_PREFIX = "ROOKERY_TEST_";

function refuseUnknownNames(env: Record<string, string>): void {
  const known: string[] = Object.values(SETTINGS).map((setting) => setting.name);
  for (const name of Object.keys(env)) {
    if (!name.startsWith("ROOKERY_") || name.startsWith(TEST_PREFIX) || known.includes(name)) continue;
    const nearest = known.toSorted((a, b) => countEdits(name, a) - countEdits(name, b))[0];
    throw new DomainError("invalid_config", `Unknown setting ${name}; did you mean ${nearest}?`, { param: name });
  }
}

/** Levenshtein's distance: insertions, deletions and replacements that turn `from` into `to`. */
function countEdits(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, character] of [...from].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = previous[column]! + (character === other ? 0 : 1);
      current.push(Math.min(replaced, previous[column + 1]! + 1, current[column]! + 1));
    }
    previous = current;
  }
  return previous.at(-1)!;
}

/** Whether only this machine can reach `host`: `localhost`, 127.0.0.0/8 or ::1, also written as IPv6. */
export function isLoopback(host: string): boolean {
  const address = host.toLowerCase().replace(/^::ffff:/, "");
  if (address === "localhost" || address === "::1" || address === "0:0:0:0:0:0:0:1") return true;
  return z.ipv4().safeParse(address).success && address.startsWith("127.");
}

/** The table of settings as Markdown, as the README shows it. */
export function renderSettings(): string {
  const rows = Object.values(SETTINGS).map((setting) => {
    const value = setting.default === null || setting.default === "" ? "—" : `\`${setting.default}\``;
    return `| \`${setting.name}\` | ${value} | ${setting.description} |`;
  });
  return ["| Variable | Default | What it does |", "| --- | --- | --- |", ...rows].join("\n") + "\n";
}
