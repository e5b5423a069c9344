import { createRoute } from "@hono/zod-openapi";
import { anyJsonContent, jsonBody, jsonContent, ownErrors, pickErrors } from "../_shared/documentation.ts";
import * as schemas from "./schemas.ts";

const tags = ["Accounts"];

/** What every route may answer, since every one is limited, and has a body of bounded size. */
const errors = pickErrors(ownErrors, 400, 401, 403, 404, 409, 413, 415, 429, 500, 503);

export const getPolicy = createRoute({
  method: "get",
  path: "/api/auth/policy",
  summary: "Say how one gets in; needs no key",
  tags,
  security: [],
  responses: { 200: jsonContent(schemas.EntryPolicy, "Who may sign up, and by which ways one logs in"), ...errors },
});

export const signUp = createRoute({
  method: "post",
  path: "/api/auth/signup",
  summary: "Make an account; whether the address had one already is not told",
  tags,
  security: [],
  request: { body: jsonBody(schemas.SignUpBody) },
  responses: { 202: jsonContent(schemas.Accepted, "Log in now"), ...errors },
});

export const logIn = createRoute({
  method: "post",
  path: "/api/auth/login",
  summary: "Log in with an address and a password",
  tags,
  security: [],
  request: { body: jsonBody(schemas.LogInBody) },
  responses: {
    200: jsonContent(schemas.Tokens, "The access token; cookies hold it, and what refreshes it"),
    ...errors,
  },
});

export const refresh = createRoute({
  method: "post",
  path: "/api/auth/refresh",
  summary: "Exchange the refresh token of the cookie for new tokens",
  tags,
  security: [],
  responses: { 200: jsonContent(schemas.Tokens, "As logging in answers; the old refresh token is used up"), ...errors },
});

export const logOut = createRoute({
  method: "post",
  path: "/api/auth/logout",
  summary: "End this session",
  tags,
  security: [],
  responses: { 200: jsonContent(schemas.Done, "The session has ended, and its cookies are removed"), ...errors },
});

export const getMe = createRoute({
  method: "get",
  path: "/api/auth/me",
  summary: "Say whom Rookery takes the caller for",
  tags,
  responses: { 200: jsonContent(schemas.Me, "The account and what this credential may do"), ...errors },
});

export const changeMe = createRoute({
  method: "patch",
  path: "/api/auth/me",
  summary: "Change one's own name",
  tags,
  request: { body: jsonBody(schemas.AccountChange) },
  responses: { 200: jsonContent(schemas.AccountBody, "The account as it is now"), ...errors },
});

export const deleteMe = createRoute({
  method: "delete",
  path: "/api/auth/me",
  summary: "Delete one's own account with everything in it",
  tags,
  request: { body: jsonBody(schemas.Deletion) },
  responses: { 200: jsonContent(schemas.Done, "The account is no more"), ...errors },
});

export const changePassword = createRoute({
  method: "post",
  path: "/api/auth/password",
  summary: "Change one's password; the other sessions end",
  tags,
  request: { body: jsonBody(schemas.PasswordChange) },
  responses: { 200: jsonContent(schemas.Done, "The new password holds"), ...errors },
});

export const requestReset = createRoute({
  method: "post",
  path: "/api/auth/reset-requests",
  summary: "Ask for a letter with a link to set a password; whether the address has an account is not told",
  tags,
  security: [],
  request: { body: jsonBody(schemas.ResetRequest) },
  responses: { 202: jsonContent(schemas.Accepted, "If there is such an account, a letter is on its way"), ...errors },
});

export const resetPassword = createRoute({
  method: "post",
  path: "/api/auth/reset",
  summary: "Set a password by a link; all sessions end",
  tags,
  security: [],
  request: { body: jsonBody(schemas.Reset) },
  responses: { 200: jsonContent(schemas.Done, "The new password holds; log in with it"), ...errors },
});

export const listSessions = createRoute({
  method: "get",
  path: "/api/auth/sessions",
  summary: "List where one is logged in",
  tags,
  responses: { 200: jsonContent(schemas.SessionList, "The sessions, the latest used first"), ...errors },
});

export const revokeSession = createRoute({
  method: "delete",
  path: "/api/auth/sessions/{id}",
  summary: "End one of one's sessions, and what it has under way",
  tags,
  request: { params: schemas.SessionParams },
  responses: { 200: jsonContent(schemas.Done, "The session has ended"), ...errors },
});

export const revokeSessions = createRoute({
  method: "delete",
  path: "/api/auth/sessions",
  summary: "End all of one's sessions but this one",
  tags,
  responses: { 200: jsonContent(schemas.RevokedSessions, "They have ended"), ...errors },
});

export const listIdentities = createRoute({
  method: "get",
  path: "/api/auth/identities",
  summary: "List the other services by which one can log in",
  tags,
  responses: { 200: jsonContent(schemas.IdentityList, "The services"), ...errors },
});

export const linkIdentity = createRoute({
  method: "post",
  path: "/api/auth/identities/{provider}",
  summary: "Begin to link another service to one's account",
  tags,
  request: { params: schemas.ProviderParams, body: jsonBody(schemas.OAuthStart) },
  responses: { 200: jsonContent(schemas.OAuthUrl, "Where the browser has to go"), ...errors },
});

export const unlinkIdentity = createRoute({
  method: "delete",
  path: "/api/auth/identities/{provider}",
  summary: "Unlink another service from one's account",
  tags,
  request: { params: schemas.ProviderParams },
  responses: { 200: jsonContent(schemas.Done, "It is linked no more"), ...errors },
});

export const beginOAuth = createRoute({
  method: "post",
  path: "/api/auth/oauth/{provider}",
  summary: "Begin to log in by another service",
  tags,
  security: [],
  request: { params: schemas.ProviderParams, body: jsonBody(schemas.OAuthStart) },
  responses: { 200: jsonContent(schemas.OAuthUrl, "Where the browser has to go"), ...errors },
});

const returned = { 303: anyJsonContent(schemas.Done, "Logged in, or linked: the browser goes on, without a body") };

export const finishByQuery = createRoute({
  method: "get",
  path: "/api/auth/oauth/{provider}/callback",
  summary: "Take what a browser brings back from another service in its address",
  tags,
  security: [],
  request: { params: schemas.ProviderParams },
  responses: { ...returned, ...errors },
});

export const finishByForm = createRoute({
  method: "post",
  path: "/api/auth/oauth/{provider}/callback",
  summary: "Take what another service's page posts",
  tags,
  security: [],
  request: {
    params: schemas.ProviderParams,
    body: { required: true, content: { "application/x-www-form-urlencoded": { schema: schemas.OAuthForm } } },
  },
  responses: { ...returned, ...errors },
});
