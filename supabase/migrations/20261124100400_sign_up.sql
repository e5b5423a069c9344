-- Who may become an account, and how. The runtime calls these for somebody who has not signed in, as anon, after it has
-- checked passwords, limits and providers; PostgREST does not expose them.

-- What a sign-up page needs to know.
create function app.sign_up_policy() returns table (policy text, has_accounts boolean)
language sql stable security definer set search_path = '' as $$
  select
    coalesce((select value #>> '{}' from app.settings where name = 'sign_up'), 'closed'),
    exists (select from public.profiles)
$$;

-- Uses up a token of the kind and returns it; raises when it is unknown, used, too old or for another address.
create function app.use_one_time_token(token_hash bytea, wanted_kind text, wanted_email text default null)
returns app.one_time_tokens language plpgsql security definer set search_path = '' as $$
declare
  token app.one_time_tokens;
begin
  update app.one_time_tokens set used_at = now()
  where hash = token_hash and kind = wanted_kind and used_at is null and expires_at > now()
    and (email is null or email = lower(wanted_email))
  returning * into token;
  if not found then
    perform app.fail('invalid_link', 'This link is not valid any more, or for another address; ask for a new one');
  end if;
  return token;
end
$$;

-- Decides whether somebody may sign up, and with which role. The lock lets one of two first accounts be the first.
create function app.admit(email text, token_hash bytea, needs_token boolean) returns text
language plpgsql security definer set search_path = '' as $$
declare
  policy text;
  invitation app.one_time_tokens;
begin
  perform app.lock_accounts();
  if not exists (select from public.profiles) then
    if needs_token then
      perform app.use_one_time_token(token_hash, 'first_admin');
    end if;
    return 'admin';
  end if;
  policy := (select found.policy from app.sign_up_policy() found);
  if token_hash is not null and policy <> 'closed' then
    invitation := app.use_one_time_token(token_hash, 'invitation', email);
    return invitation.role;
  end if;
  if policy <> 'open' then
    perform app.fail('sign_up_closed', case policy
      when 'invitation' then 'Signing up needs an invitation; ask an administrator for one'
      else 'Signing up is closed here' end);
  end if;
  return 'user';
end
$$;

-- Writes a user as Supabase Auth reads it: '' where it cannot read null, all zero where there is one instance.
create function app.insert_user(email text, password_hash text, display_name text, role text, provider text)
returns uuid language plpgsql security definer set search_path = '' as $$
declare
  account uuid := gen_random_uuid();
begin
  insert into auth.users (
    instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
    confirmation_token, recovery_token, email_change, email_change_token_new, created_at, updated_at
  ) values (
    '00000000-0000-0000-0000-000000000000', account, 'authenticated', 'authenticated', lower(insert_user.email),
    password_hash, now(), jsonb_build_object('provider', provider, 'providers', jsonb_build_array(provider)),
    jsonb_build_object('display_name', insert_user.display_name), '', '', '', '', now(), now()
  );
  update public.profiles profile set role = insert_user.role
  where profile.id = account and profile.role <> insert_user.role;
  perform app.audit(account, 'account_created', account::text,
    jsonb_build_object('provider', provider, 'role', insert_user.role));
  return account;
exception when unique_violation then
  perform app.fail('account_exists', 'There is an account with this address; sign in instead');
  return null;
end
$$;

-- needs_token: the first account must show the token that the runtime printed at start. False on loopback alone.
create function app.create_user(
  email text, password_hash text, display_name text, token_hash bytea default null, needs_token boolean default true
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  role text := app.admit(email, token_hash, needs_token);
begin
  if coalesce(email, '') !~ '^[^@[:space:]]+@[^@[:space:]]+$' or coalesce(password_hash, '') = '' then
    perform app.fail('invalid_request', 'Cannot sign up without an address and a password');
  end if;
  return app.insert_user(email, password_hash, display_name, role, 'email');
end
$$;

-- An account without a password. An address that is taken is refused: linking is for a signed-in user alone.
create function app.create_user_from_identity(
  provider text, subject text, email text, display_name text,
  token_hash bytea default null, needs_token boolean default true
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  account uuid;
begin
  if exists (
    select from app.identities known
    where known.provider = create_user_from_identity.provider and known.subject = create_user_from_identity.subject
  ) then
    perform app.fail('account_exists', 'This identity belongs to an account; sign in instead');
  end if;
  account := app.insert_user(email, null, display_name, app.admit(email, token_hash, needs_token), provider);
  insert into app.identities (provider, subject, user_id, email) values (provider, subject, account, lower(email));
  return account;
end
$$;

create function app.find_identity(provider text, subject text) returns table (user_id uuid, suspended boolean)
language sql stable security definer set search_path = '' as $$
  select profile.id, profile.suspended_at is not null
  from app.identities identity
  join public.profiles profile on profile.id = identity.user_id
  where identity.provider = find_identity.provider and identity.subject = find_identity.subject
$$;

-- The token that is printed at start while nobody has an account. False when somebody has.
create function app.create_first_admin_token(token_hash bytea, expires_at timestamptz) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
  perform app.lock_accounts();
  if exists (select from public.profiles) then
    return false;
  end if;
  delete from app.one_time_tokens where kind = 'first_admin';
  insert into app.one_time_tokens (hash, kind, expires_at)
  values (token_hash, 'first_admin', create_first_admin_token.expires_at);
  return true;
end
$$;

-- Passwords ----------------------------------------------------------------------------------------------------------

create function app.find_login(email text) returns table (user_id uuid, password_hash text, suspended boolean)
language sql stable security definer set search_path = '' as $$
  select account.id, account.encrypted_password::text, profile.suspended_at is not null
  from auth.users account
  join public.profiles profile on profile.id = account.id
  where account.email = lower(find_login.email) and not account.is_sso_user and account.deleted_at is null
$$;

-- For mail: keeps the token when the address has an account that is not suspended; says whether it has.
create function app.request_reset(email text, token_hash bytea, expires_at timestamptz) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
  insert into app.one_time_tokens (hash, kind, user_id, expires_at)
  select token_hash, 'reset', found.user_id, request_reset.expires_at
  from app.find_login(request_reset.email) found where not found.suspended;
  return found;
end
$$;

-- Sets a password and ends every session: who had the old one is out.
create function app.set_password(account uuid, password_hash text, kept_session uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  if coalesce(password_hash, '') = '' then
    perform app.fail('invalid_request', 'Cannot set an empty password');
  end if;
  update auth.users set encrypted_password = password_hash, updated_at = now() where id = account;
  update app.sessions set revoked_at = now()
  where user_id = account and revoked_at is null and id is distinct from kept_session;
  -- A reset link that was made before is of no use any more.
  update app.one_time_tokens set used_at = now() where user_id = account and used_at is null;
end
$$;

create function app.use_reset_token(token_hash bytea, password_hash text) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  token app.one_time_tokens := app.use_one_time_token(token_hash, 'reset');
begin
  if exists (select from public.profiles where id = token.user_id and suspended_at is not null) then
    perform app.fail('account_suspended', 'This account is suspended; ask an administrator');
  end if;
  perform app.set_password(token.user_id, password_hash, null);
  perform app.audit(token.user_id, 'password_reset', token.user_id::text);
  return token.user_id;
end
$$;

-- The runtime has checked the old password. The session at hand stays.
create function app.change_password(password_hash text) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_writer();
begin
  perform app.set_password(account, password_hash, (app.claims() ->> 'session_id')::uuid);
  perform app.audit(account, 'password_changed', account::text);
end
$$;

revoke execute on function app.sign_up_policy(), app.use_one_time_token(bytea, text, text),
  app.admit(text, bytea, boolean), app.insert_user(text, text, text, text, text),
  app.create_user(text, text, text, bytea, boolean),
  app.create_user_from_identity(text, text, text, text, bytea, boolean), app.find_identity(text, text),
  app.create_first_admin_token(bytea, timestamptz), app.find_login(text),
  app.request_reset(text, bytea, timestamptz), app.set_password(uuid, text, uuid),
  app.use_reset_token(bytea, text), app.change_password(text)
  from public, anon, authenticated, service_role;
grant execute on function app.sign_up_policy(), app.create_user(text, text, text, bytea, boolean),
  app.create_user_from_identity(text, text, text, text, bytea, boolean), app.find_identity(text, text),
  app.find_login(text), app.request_reset(text, bytea, timestamptz), app.use_reset_token(bytea, text) to anon;
grant execute on function app.sign_up_policy(), app.change_password(text) to authenticated;
grant execute on function app.create_first_admin_token(bytea, timestamptz) to service_role;
