import { createRoute, z } from "@hono/zod-openapi";
import { jsonBody, jsonContent, ownErrors, pickErrors } from "../_shared/documentation.ts";
import * as schemas from "./schemas.ts";

const ROOT = "/api/admin";
const USER = `${ROOT}/users/{id}`;
const MODEL = `${ROOT}/models/{id}`;
const BACKUPS = `${ROOT}/database/backups`;

const tags = ["Administration"];
const errors = pickErrors(ownErrors, 400, 401, 403, 404, 409, 413, 415, 429, 500, 503);
const modelErrors = { ...errors, ...pickErrors(ownErrors, 502, 507) };
const done = { 200: jsonContent(schemas.Done, "It is done"), ...errors };

export const listUsers = createRoute({
  method: "get",
  path: `${ROOT}/users`,
  summary: "List or search accounts, the oldest first",
  tags,
  request: { query: schemas.UsersQuery },
  responses: { 200: jsonContent(schemas.Users, "The accounts"), ...errors },
});

export const changeUser = createRoute({
  method: "patch",
  path: USER,
  summary: "Give an account another role, suspend it, or take that back; what it has under way ends",
  tags,
  request: { params: schemas.IdPath, body: jsonBody(schemas.UserChanges) },
  responses: done,
});

export const deleteUser = createRoute({
  method: "delete",
  path: USER,
  summary: "Erase an account with everything that is its own",
  tags,
  request: { params: schemas.IdPath },
  responses: done,
});

export const makeResetLink = createRoute({
  method: "post",
  path: `${USER}/reset-link`,
  summary: "Make a link with which an account sets a password",
  tags,
  request: { params: schemas.IdPath },
  responses: { 200: jsonContent(schemas.Link, "The link to pass on, good once and for an hour"), ...errors },
});

export const endSessions = createRoute({
  method: "delete",
  path: `${USER}/sessions`,
  summary: "End all sessions of an account; of one's own all but this one",
  tags,
  request: { params: schemas.IdPath },
  responses: { 200: jsonContent(schemas.EndedSessions, "How many those were"), ...errors },
});

export const listInvitations = createRoute({
  method: "get",
  path: `${ROOT}/invitations`,
  summary: "List invitations, the youngest first",
  tags,
  request: { query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Invitations, "Those that were used are among them"), ...errors },
});

export const invite = createRoute({
  method: "post",
  path: `${ROOT}/invitations`,
  summary: "Make an invitation for one account",
  tags,
  request: { body: jsonBody(schemas.InvitationBody) },
  responses: {
    201: jsonContent(schemas.Link, "The link to pass on, good once and for a week"),
    ...errors,
    ...pickErrors(ownErrors, 502),
  },
});

export const revokeInvitation = createRoute({
  method: "delete",
  path: `${ROOT}/invitations/{id}`,
  summary: "Take an invitation back that nobody has used",
  tags,
  request: { params: schemas.InvitationPath },
  responses: done,
});

export const getSettings = createRoute({
  method: "get",
  path: `${ROOT}/settings`,
  summary: "Tell what administrators have decided",
  tags,
  responses: { 200: jsonContent(schemas.HouseSettings, "The settings"), ...errors },
});

export const changeSettings = createRoute({
  method: "patch",
  path: `${ROOT}/settings`,
  summary: "Decide who may sign up",
  tags,
  request: { body: jsonBody(schemas.HouseSettingsChanges) },
  responses: { 200: jsonContent(schemas.HouseSettings, "The settings as they are now"), ...errors },
});

export const listKeys = createRoute({
  method: "get",
  path: `${ROOT}/keys`,
  summary: "List the keys of all accounts, the youngest first",
  tags,
  request: { query: schemas.OwnedQuery },
  responses: { 200: jsonContent(schemas.Keys, "The keys, never themselves"), ...errors },
});

export const revokeKey = createRoute({
  method: "delete",
  path: `${ROOT}/keys/{id}`,
  summary: "Revoke a key of anybody's at once; what it has under way ends",
  tags,
  request: { params: schemas.IdPath },
  responses: done,
});

export const listSessions = createRoute({
  method: "get",
  path: `${ROOT}/sessions`,
  summary: "List where all accounts are logged in, the youngest session first",
  tags,
  request: { query: schemas.OwnedQuery },
  responses: { 200: jsonContent(schemas.Sessions, "The sessions"), ...errors },
});

export const revokeSession = createRoute({
  method: "delete",
  path: `${ROOT}/sessions/{id}`,
  summary: "End a session of anybody's, and what it has under way",
  tags,
  request: { params: schemas.IdPath },
  responses: done,
});

export const readAudit = createRoute({
  method: "get",
  path: `${ROOT}/audit`,
  summary: "Read the audit log, the latest first",
  tags,
  request: { query: schemas.AuditQuery },
  responses: { 200: jsonContent(schemas.Audit, "Who did what, and when"), ...errors },
});

export const listModels = createRoute({
  method: "get",
  path: `${ROOT}/models`,
  summary: "List the models that are here, could be, or are on other servers",
  tags,
  request: { query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Models, "The models by id, and which are in memory"), ...modelErrors },
});

export const pullModel = createRoute({
  method: "post",
  path: `${ROOT}/models/pull`,
  summary: "Fetch a model and tell how far that is; who asks for one that is being fetched follows that",
  tags,
  request: { body: jsonBody(schemas.PullBody) },
  responses: {
    200: {
      description: "Events `progress`, `notice`, and at last `done` or `error`; it stops when the last reader leaves",
      content: { "text/event-stream": { schema: z.string() } } as Record<string, { schema: z.ZodType }>,
    },
    ...modelErrors,
  },
});

export const loadModel = createRoute({
  method: "post",
  path: `${MODEL}/load`,
  summary: "Load a model into memory",
  tags,
  request: { params: schemas.ModelPath, body: jsonBody(schemas.LoadBody) },
  responses: { 200: jsonContent(schemas.Done, "It is in memory"), ...modelErrors },
});

export const unloadModel = createRoute({
  method: "post",
  path: `${MODEL}/unload`,
  summary: "Unload a model once nobody uses it",
  tags,
  request: { params: schemas.ModelPath },
  responses: { 200: jsonContent(schemas.Done, "It leaves, or has left"), ...modelErrors },
});

export const deleteModel = createRoute({
  method: "delete",
  path: MODEL,
  summary: "Unload a model and remove its files",
  tags,
  request: { params: schemas.ModelPath },
  responses: { 200: jsonContent(schemas.Done, "It is gone"), ...modelErrors },
});

export const getJobs = createRoute({
  method: "get",
  path: `${ROOT}/jobs`,
  summary: "Tell what is being done and what waits",
  tags,
  responses: { 200: jsonContent(schemas.Queue, "Answers, requests and pulls"), ...errors },
});

export const describeDatabase = createRoute({
  method: "get",
  path: `${ROOT}/database`,
  summary: "Describe the database",
  tags,
  responses: { 200: jsonContent(schemas.DatabaseDescription, "What it is, its size and its upkeep"), ...errors },
});

export const listBackups = createRoute({
  method: "get",
  path: BACKUPS,
  summary: "List backups, the youngest first",
  tags,
  request: { query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Backups, "Those in the folder of data"), ...errors },
});

export const writeBackup = createRoute({
  method: "post",
  path: BACKUPS,
  summary: "Back up all data into the folder of data; the embedded database serves nobody else meanwhile",
  tags,
  responses: { 201: jsonContent(schemas.MadeBackup, "The backup"), ...errors, ...pickErrors(ownErrors, 507) },
});

export const readBackup = createRoute({
  method: "get",
  path: `${BACKUPS}/{name}`,
  summary: "Download a backup",
  tags,
  request: { params: schemas.BackupPath },
  responses: {
    200: {
      description: "The file",
      content: { "application/gzip": { schema: z.string() } } as Record<string, { schema: z.ZodType }>,
    },
    ...errors,
  },
});

export const deleteBackup = createRoute({
  method: "delete",
  path: `${BACKUPS}/{name}`,
  summary: "Remove a backup",
  tags,
  request: { params: schemas.BackupPath },
  responses: done,
});
