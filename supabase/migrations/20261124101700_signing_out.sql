-- Logging out is noted in the audit log, and works with whatever the client has of its session.

-- Ends the session that a refresh token belongs to, whether the token was used already or not: a client whose other tab
-- has refreshed a moment ago leaves as well. It takes a right away and gives none.
create function app.end_session(refresh_hash bytea) returns void
language plpgsql security definer set search_path = '' as $$
declare
  ended app.sessions;
begin
  update app.sessions session set revoked_at = now()
  from app.refresh_tokens token
  where token.hash = refresh_hash and session.id = token.session_id and session.revoked_at is null
  returning session.* into ended;
  if found then
    perform app.audit(ended.user_id, 'sign_out', ended.id::text);
  end if;
end
$$;

-- Ends the session at hand.
create function app.sign_out() returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
  current uuid := (app.claims() ->> 'session_id')::uuid;
begin
  update app.sessions session set revoked_at = now()
  where session.id = current and session.user_id = account and session.revoked_at is null;
  if found then
    perform app.audit(account, 'sign_out', current::text);
  end if;
end
$$;

revoke execute on function app.end_session(bytea), app.sign_out() from public, anon, authenticated, service_role;
grant execute on function app.end_session(bytea) to anon;
grant execute on function app.sign_out() to authenticated;
