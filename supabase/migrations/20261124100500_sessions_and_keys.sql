-- Sessions with rotating refresh tokens, identities of other providers, keys for programs.

create function app.begin_session(
  user_id uuid, refresh_hash bytea, expires_at timestamptz, user_agent text default null, address text default null
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  session uuid;
  account public.profiles;
begin
  select * into account from public.profiles where id = begin_session.user_id;
  if not found then
    perform app.fail('unauthorized', 'There is no such account');
  elsif account.suspended_at is not null then
    perform app.fail('account_suspended', 'This account is suspended; ask an administrator');
  end if;
  insert into app.sessions (user_id, expires_at, user_agent, address)
  values (account.id, begin_session.expires_at, left(begin_session.user_agent, 500), left(begin_session.address, 100))
  returning id into session;
  insert into app.refresh_tokens (hash, session_id) values (refresh_hash, session);
  update auth.users set last_sign_in_at = now() where id = account.id;
  perform app.audit(account.id, 'sign_in', session::text, jsonb_build_object('address', left(address, 100)));
  return session;
end
$$;

-- Exchanges a refresh token. It returns failures instead of raising them, because a revocation must be committed:
-- `unauthorized`, `session_expired`, `session_revoked`, `account_suspended`, or `conflict` when the token was used a
-- moment ago. That is another tab of the same browser, whose new cookie both hold by now; whoever comes later with a
-- used token has stolen it, or was stolen from, and the whole session ends (RFC 9700, 4.14.2).
create function app.refresh_session(old_hash bytea, new_hash bytea, expires_at timestamptz default null)
returns table (failure text, session_id uuid, user_id uuid, role text)
language plpgsql security definer set search_path = '' as $$
declare
  token app.refresh_tokens;
  session app.sessions;
  account public.profiles;
begin
  select * into token from app.refresh_tokens where hash = old_hash for update;
  if not found then
    return query select 'unauthorized', null::uuid, null::uuid, null::text;
    return;
  end if;
  select * into session from app.sessions where id = token.session_id for update;
  select * into account from public.profiles where id = session.user_id;
  failure := case
    when session.revoked_at is not null then 'session_revoked'
    when session.expires_at <= now() then 'session_expired'
    when token.used_at > clock_timestamp() - interval '10 seconds' then 'conflict'
    when token.used_at is not null then 'session_revoked'
    when account.suspended_at is not null then 'account_suspended'
  end;
  if failure = 'session_revoked' and session.revoked_at is null then
    update app.sessions set revoked_at = now() where id = session.id;
    perform app.audit(account.id, 'refresh_token_reused', session.id::text);
  elsif failure is null then
    update app.refresh_tokens set used_at = clock_timestamp() where hash = old_hash;
    insert into app.refresh_tokens (hash, session_id) values (new_hash, session.id);
    update app.sessions current
    set last_used_at = now(), expires_at = coalesce(refresh_session.expires_at, current.expires_at)
    where current.id = session.id;
  end if;
  return query select failure, session.id, account.id, account.role;
end
$$;

-- The live state of a session; no row when it is unknown, revoked or over.
create function app.validate_session(session_id uuid) returns table (user_id uuid, role text, suspended boolean)
language plpgsql security definer set search_path = '' as $$
begin
  update app.sessions set last_used_at = now()
  where id = validate_session.session_id and last_used_at < now() - interval '1 minute'
    and revoked_at is null and expires_at > now();
  return query
    select profile.id, profile.role, profile.suspended_at is not null
    from app.sessions session
    join public.profiles profile on profile.id = session.user_id
    where session.id = validate_session.session_id and session.revoked_at is null and session.expires_at > now();
end
$$;

-- The live state of an account whose token somebody else issued (Supabase Auth); no row when there is none.
create function app.find_account(user_id uuid) returns table (role text, suspended boolean)
language sql stable security definer set search_path = '' as $$
  select profile.role, profile.suspended_at is not null
  from public.profiles profile where profile.id = find_account.user_id
$$;

-- The account that a procedure is about: the caller's own, or any for an administrator.
create function app.choose_account(wanted uuid) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
begin
  if wanted is null or wanted = account then
    return account;
  end if;
  perform app.require_admin();
  return wanted;
end
$$;

create function app.list_sessions(of_user uuid default null)
returns table (
  id uuid, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz, user_agent text, address text,
  is_current boolean
) language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.choose_account(of_user);
begin
  return query
    select session.id, session.created_at, session.last_used_at, session.expires_at, session.user_agent,
      session.address, session.id is not distinct from (app.claims() ->> 'session_id')::uuid
    from app.sessions session
    where session.user_id = account and session.revoked_at is null and session.expires_at > now()
    order by session.last_used_at desc, session.id
    limit 200;
end
$$;

-- Signing out is open to accounts that may only read: it takes rights away and gives none.
create function app.revoke_session(session_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
  owner uuid;
begin
  update app.sessions session set revoked_at = now()
  where session.id = revoke_session.session_id and session.revoked_at is null
    and (session.user_id = account or app.is_admin())
  returning session.user_id into owner;
  if owner is null then
    perform app.fail('not_found', 'There is no such session');
  end if;
  perform app.audit(account, 'session_revoked', revoke_session.session_id::text, jsonb_build_object('user', owner));
end
$$;

-- Ends all sessions of an account but the one at hand; returns how many.
create function app.revoke_other_sessions(of_user uuid default null) returns integer
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.choose_account(of_user);
  count integer;
begin
  update app.sessions set revoked_at = now()
  where user_id = account and revoked_at is null and id is distinct from (app.claims() ->> 'session_id')::uuid;
  get diagnostics count = row_count;
  perform app.audit(app.current_user_id(), 'sessions_revoked', account::text, jsonb_build_object('count', count));
  return count;
end
$$;

-- Identities ---------------------------------------------------------------------------------------------------------

create function app.link_identity(provider text, subject text, email text default null) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_writer();
begin
  insert into app.identities (provider, subject, user_id, email) values (provider, subject, account, lower(email));
  perform app.audit(account, 'identity_linked', provider);
exception when unique_violation then
  perform app.fail('conflict', format('Cannot link %s: it is linked already, here or to another account', provider));
end
$$;

create function app.unlink_identity(provider text) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_writer();
begin
  perform from public.profiles where id = account for update;
  if not exists (
    select from app.identities known where known.user_id = account and known.provider = unlink_identity.provider
  ) then
    perform app.fail('not_found', format('No identity of %s is linked', unlink_identity.provider));
  elsif (select count(*) from app.identities where user_id = account) = 1
    and not exists (select from auth.users where id = account and encrypted_password <> '')
  then
    perform app.fail('conflict', 'Cannot unlink the only way to sign in: set a password first');
  end if;
  delete from app.identities known where known.user_id = account and known.provider = unlink_identity.provider;
  perform app.audit(account, 'identity_unlinked', unlink_identity.provider);
end
$$;

create function app.list_identities() returns table (provider text, email text, created_at timestamptz)
language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
begin
  return query
    select identity.provider, identity.email, identity.created_at
    from app.identities identity where identity.user_id = account order by identity.provider;
end
$$;

-- Keys ---------------------------------------------------------------------------------------------------------------

create function app.create_api_key(
  name text, scopes text[], hash bytea, hint text, expires_at timestamptz default null
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_writer();
  key uuid;
begin
  if 'admin' = any (scopes) and not app.is_admin() then
    perform app.fail('forbidden', 'Only an administrator may make a key with the scope admin');
  elsif create_api_key.expires_at <= now() then
    perform app.fail('invalid_request', 'Cannot make a key that has expired');
  end if;
  perform from public.profiles where id = account for update;
  if (select count(*) from app.api_keys where user_id = account and revoked_at is null) >= 100 then
    perform app.fail('conflict', 'Cannot keep more than 100 keys; revoke one first');
  end if;
  insert into app.api_keys (user_id, name, scopes, hash, hint, expires_at)
  values (account, name, scopes, hash, hint, create_api_key.expires_at)
  returning id into key;
  perform app.audit(account, 'key_created', key::text, jsonb_build_object('name', name, 'scopes', scopes));
  return key;
end
$$;

create function app.list_api_keys(of_user uuid default null)
returns table (
  id uuid, name text, scopes text[], hint text, created_at timestamptz, expires_at timestamptz,
  last_used_at timestamptz, revoked_at timestamptz
) language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.choose_account(of_user);
begin
  return query
    select key.id, key.name, key.scopes, key.hint, key.created_at, key.expires_at, key.last_used_at, key.revoked_at
    from app.api_keys key where key.user_id = account
    order by key.revoked_at is not null, key.id desc
    limit 200;
end
$$;

create function app.revoke_api_key(key_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
  owner uuid;
begin
  update app.api_keys key set revoked_at = now()
  where key.id = key_id and key.revoked_at is null and (key.user_id = account or app.is_admin())
  returning key.user_id into owner;
  if owner is null then
    perform app.fail('not_found', 'There is no such key');
  end if;
  perform app.audit(account, 'key_revoked', key_id::text, jsonb_build_object('user', owner));
end
$$;

-- The live state of a key; no row when it is unknown, revoked or over. Its use is noted once a minute at most.
create function app.find_api_key(hash bytea)
returns table (key_id uuid, user_id uuid, role text, scopes text[])
language plpgsql security definer set search_path = '' as $$
declare
  key app.api_keys;
  account public.profiles;
begin
  select * into key from app.api_keys known
  where known.hash = find_api_key.hash and known.revoked_at is null
    and (known.expires_at is null or known.expires_at > now());
  if not found then
    return;
  end if;
  select * into account from public.profiles where id = key.user_id;
  if account.suspended_at is not null then
    perform app.fail('account_suspended', 'The account of this key is suspended; ask an administrator');
  end if;
  -- Of many requests at once, one notes it and none waits.
  perform from app.api_keys known
  where known.id = key.id and (known.last_used_at is null or known.last_used_at < now() - interval '1 minute')
  for update skip locked;
  if found then
    update app.api_keys known set last_used_at = now() where known.id = key.id;
    perform app.audit(account.id, 'key_used', key.id::text);
  end if;
  return query select key.id, account.id, account.role, key.scopes;
end
$$;

revoke execute on function app.begin_session(uuid, bytea, timestamptz, text, text),
  app.refresh_session(bytea, bytea, timestamptz), app.validate_session(uuid), app.find_account(uuid),
  app.choose_account(uuid), app.list_sessions(uuid), app.revoke_session(uuid), app.revoke_other_sessions(uuid),
  app.link_identity(text, text, text), app.unlink_identity(text), app.list_identities(),
  app.create_api_key(text, text[], bytea, text, timestamptz), app.list_api_keys(uuid), app.revoke_api_key(uuid),
  app.find_api_key(bytea)
  from public, anon, authenticated, service_role;
grant execute on function app.begin_session(uuid, bytea, timestamptz, text, text),
  app.refresh_session(bytea, bytea, timestamptz), app.validate_session(uuid), app.find_account(uuid),
  app.find_api_key(bytea) to anon;
grant execute on function app.list_sessions(uuid), app.revoke_session(uuid), app.revoke_other_sessions(uuid),
  app.link_identity(text, text, text), app.unlink_identity(text), app.list_identities(),
  app.create_api_key(text, text[], bytea, text, timestamptz), app.list_api_keys(uuid), app.revoke_api_key(uuid)
  to authenticated;
