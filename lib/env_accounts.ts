import { z } from "zod";
import { defineSetting, httpUrl, list, path, word } from "./setting.ts";

const onOff = z.enum(["on", "off"]).transform((choice) => choice === "on");

/** An address of a site as a whole. */
const origin = httpUrl.refine((text) => {
  const url = URL.parse(text);
  return url !== null && url.pathname === "/" && url.username + url.password + url.search + url.hash === "";
}).transform((text) => new URL(text).origin);

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

const mailServer = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^smtps?:$/.test(url.protocol) && url.hostname !== "";
});

/** `ada@example.org` or `Rookery <ada@example.org>`. */
const sender = z.string().regex(/^[^<>\r\n]*<?[^\s<>@]+@[^\s<>@]+>?$/);

/** The settings of accounts, and of the ways by which they are reached; part of the table in `env.ts`. */
export const ACCOUNT_SETTINGS = {
  publicUrl: defineSetting({
    name: "PUBLIC_URL",
    default: null,
    description: "Address that people type to reach Rookery, such as `https://rookery.example.org`. Links in letters " +
      "begin with it, and pages of it may use cookies. Unset: the address of the request.",
    expected: "an http or https address without a path",
    schema: origin,
  }),
  trustedProxies: defineSetting({
    name: "TRUSTED_PROXIES",
    default: "",
    description:
      "Addresses or networks of the proxies in front, separated by commas. Of these alone `X-Forwarded-For` " +
      "and `X-Forwarded-Proto` are believed.",
    expected: "IP addresses and networks separated by commas, such as 127.0.0.1,10.0.0.0/8",
    schema: list.pipe(z.array(network)),
  }),
  tlsCert: defineSetting({
    name: "TLS_CERT",
    default: null,
    description: "File of a certificate with its chain (PEM): with `TLS_KEY` Rookery itself speaks TLS.",
    expected: "the path of a file, without commas",
    schema: path,
  }),
  tlsKey: defineSetting({
    name: "TLS_KEY",
    default: null,
    description: "File of the certificate's private key (PEM).",
    expected: "the path of a file, without commas",
    schema: path,
  }),
  allowHttp: defineSetting({
    name: "ROOKERY_ALLOW_HTTP",
    default: "off",
    description: "`on` allows accounts over plain http from other machines, where whoever is on the way reads " +
      "passwords and everything else.",
    expected: '"on" or "off"',
    schema: onOff,
  }),
  localAccess: defineSetting({
    name: "ROOKERY_LOCAL_ACCESS",
    default: null,
    description: "Whether who sits at this machine needs no account and may do everything: `on` or `off`. Unset: on, " +
      "unless other machines are let in or `ROOKERY_API_KEY` is set.",
    expected: '"on" or "off"',
    schema: onOff,
  }),
  smtpUrl: defineSetting({
    name: "SMTP_URL",
    default: null,
    description: "Mail server for links to set a password and invitations, such as " +
      "`smtps://user:password@mail.example.org`. Unset: an administrator hands out links.",
    expected: "an smtp or smtps address",
    secret: true,
    schema: mailServer,
  }),
  smtpFrom: defineSetting({
    name: "SMTP_FROM",
    default: null,
    description: "Sender of these letters, such as `Rookery <rookery@example.org>`.",
    expected: "a mail address, with or without a name before it",
    schema: sender,
  }),
  githubClientId: defineSetting({
    name: "GITHUB_CLIENT_ID",
    default: null,
    description: "Client id of an OAuth app of GitHub's: people can then sign in with GitHub. Its callback is " +
      "`/api/auth/oauth/github/callback`.",
    expected: "the client id of an OAuth app",
    schema: word,
  }),
  githubClientSecret: defineSetting({
    name: "GITHUB_CLIENT_SECRET",
    default: null,
    description: "Secret of that app.",
    expected: "the client secret of an OAuth app",
    secret: true,
    schema: word,
  }),
  appleClientId: defineSetting({
    name: "APPLE_CLIENT_ID",
    default: null,
    description: "Services ID of an Apple developer account: people can then sign in with Apple. Its return URL is " +
      "`/api/auth/oauth/apple/callback` of an `https` `PUBLIC_URL`.",
    expected: "a Services ID, such as org.example.rookery",
    schema: word,
  }),
  appleTeamId: defineSetting({
    name: "APPLE_TEAM_ID",
    default: null,
    description: "Team ID of that developer account.",
    expected: "the ten characters of a Team ID",
    schema: word,
  }),
  appleKeyId: defineSetting({
    name: "APPLE_KEY_ID",
    default: null,
    description: "Key ID of its key for Sign in with Apple.",
    expected: "the ten characters of a Key ID",
    schema: word,
  }),
  appleKeyFile: defineSetting({
    name: "APPLE_KEY_FILE",
    default: null,
    description: "File of that key, `AuthKey_….p8`.",
    expected: "the path of a file, without commas",
    schema: path,
  }),
  supabaseJwtSecret: defineSetting({
    name: "SUPABASE_JWT_SECRET",
    default: null,
    description: "JWT secret of a Supabase: its users' tokens are accepted here, and Rookery's own tokens there. " +
      "Unset: a secret of Rookery's own, made at the first start.",
    expected: "at least 32 characters without spaces",
    secret: true,
    schema: word,
  }),
  supabaseJwksUrl: defineSetting({
    name: "SUPABASE_JWKS_URL",
    default: null,
    description: "Where a Supabase that signs with keys publishes them, such as " +
      "`https://db.example.org/auth/v1/.well-known/jwks.json`: its users' tokens are accepted here.",
    expected: "an http or https address",
    schema: httpUrl,
  }),
} as const;
