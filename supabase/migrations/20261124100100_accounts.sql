-- Accounts: who may enter, with what, and what they did.

-- One row for each of auth.users, made by a trigger, so that the users of Supabase Auth have one as well.
create table public.profiles (
  id uuid primary key references auth.users on delete cascade,
  email text,
  display_name text not null check (char_length(display_name) between 1 and 100),
  role text not null default 'user' check (role in ('admin', 'user', 'read_only')),
  suspended_at timestamptz,
  created_at timestamptz not null default now()
);
create index profiles_email_idx on public.profiles (email);
create index profiles_admins_idx on public.profiles (id) where role = 'admin';

create table app.sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles on delete cascade,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  user_agent text check (char_length(user_agent) <= 500),
  address text check (char_length(address) <= 100)
);
create index sessions_user_id_idx on app.sessions (user_id, created_at);
create index sessions_expires_at_idx on app.sessions (expires_at);

-- Hashes alone are kept, of every secret that a client holds. A used token stays, so that its second use is noticed.
create table app.refresh_tokens (
  hash bytea primary key check (octet_length(hash) = 32),
  session_id uuid not null references app.sessions on delete cascade,
  issued_at timestamptz not null default now(),
  used_at timestamptz
);
create index refresh_tokens_session_id_idx on app.refresh_tokens (session_id);

create table app.identities (
  provider text not null check (provider ~ '^[a-z][a-z0-9_]{0,31}$'),
  subject text not null check (char_length(subject) between 1 and 255),
  user_id uuid not null references public.profiles on delete cascade,
  email text,
  created_at timestamptz not null default now(),
  primary key (provider, subject),
  unique (user_id, provider)
);

create table app.one_time_tokens (
  hash bytea primary key check (octet_length(hash) = 32),
  kind text not null check (kind in ('reset', 'invitation', 'first_admin')),
  user_id uuid references public.profiles on delete cascade,
  email text,
  role text check (role in ('admin', 'user', 'read_only')),
  created_by uuid references public.profiles on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz,
  check ((kind = 'reset') = (user_id is not null)),
  check ((kind = 'invitation') = (role is not null))
);
create index one_time_tokens_user_id_idx on app.one_time_tokens (user_id);
create index one_time_tokens_created_by_idx on app.one_time_tokens (created_by);
create index one_time_tokens_expires_at_idx on app.one_time_tokens (expires_at);

create table app.api_keys (
  id uuid primary key default app.uuid_v7(),
  user_id uuid not null references public.profiles on delete cascade,
  name text not null check (char_length(name) between 1 and 100),
  scopes text[] not null
    check (cardinality(scopes) between 1 and 4 and scopes <@ array['inference', 'read', 'write', 'admin']),
  hash bytea not null unique check (octet_length(hash) = 32),
  hint text not null check (char_length(hint) <= 20),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_user_id_idx on app.api_keys (user_id, id);

-- It outlives the accounts that it names: no foreign key, and never the text of a message.
create table app.audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor uuid,
  action text not null check (char_length(action) between 1 and 60),
  target text check (char_length(target) <= 300),
  details jsonb not null default '{}' check (pg_column_size(details) <= 4000)
);
create index audit_log_actor_idx on app.audit_log (actor, id);
create index audit_log_action_idx on app.audit_log (action, id);
create trigger audit_log_is_append_only before update or delete on app.audit_log
  for each row execute function app.refuse_change();
create trigger audit_log_stays before truncate on app.audit_log
  for each statement execute function app.refuse_change();

create table app.settings (
  name text primary key check (name ~ '^[a-z][a-z0-9_.]{0,63}$'),
  value jsonb not null check (pg_column_size(value) <= 8000)
);
insert into app.settings (name, value) values ('sign_up', '"invitation"');

-- Who is calling -----------------------------------------------------------------------------------------------------

-- The caller's account, or null: nobody, suspended, or in a session that was revoked or has ended. Tokens of Supabase
-- Auth carry session ids that are not ours; its own session table answers for them.
create function app.current_user_id() returns uuid language sql stable security definer set search_path = '' as $$
  select profile.id
  from public.profiles profile
  where profile.id = (app.claims() ->> 'sub')::uuid
    and profile.suspended_at is null
    and not exists (
      select from app.sessions session
      where session.id = (app.claims() ->> 'session_id')::uuid
        and (session.revoked_at is not null or session.expires_at <= now())
    )
$$;

-- What the caller may do: the account's role, lowered by the claim app_role of a key that may do less.
create function app.current_role_name() returns text language sql stable security definer set search_path = '' as $$
  select case
    when profile.role = 'read_only' or app.claims() ->> 'app_role' = 'read_only' then 'read_only'
    when profile.role = 'admin' and coalesce(app.claims() ->> 'app_role', 'admin') = 'admin' then 'admin'
    else 'user'
  end
  from public.profiles profile
  where profile.id = app.current_user_id()
$$;

create function app.can_write() returns boolean language sql stable security definer set search_path = '' as $$
  select coalesce(app.current_role_name() in ('admin', 'user'), false)
$$;

create function app.is_admin() returns boolean language sql stable security definer set search_path = '' as $$
  select coalesce(app.current_role_name() = 'admin', false)
$$;

-- The caller's account; raises what is wrong with it.
create function app.require_account() returns uuid language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.current_user_id();
begin
  if account is not null then
    return account;
  end if;
  if exists (
    select from public.profiles where id = (app.claims() ->> 'sub')::uuid and suspended_at is not null
  ) then
    perform app.fail('account_suspended', 'This account is suspended; ask an administrator');
  elsif exists (select from public.profiles where id = (app.claims() ->> 'sub')::uuid) then
    perform app.fail('session_revoked', 'This session has ended; sign in again');
  end if;
  perform app.fail('unauthorized', 'Sign in first');
  return null;
end
$$;

create function app.require_writer() returns uuid language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
begin
  if not app.can_write() then
    perform app.fail('forbidden', 'Cannot write: this account or key may only read');
  end if;
  return account;
end
$$;

create function app.require_admin() returns uuid language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
begin
  if not app.is_admin() then
    perform app.fail('forbidden', 'Only an administrator may do this');
  end if;
  return account;
end
$$;

create function app.audit(actor uuid, action text, target text default null, details jsonb default '{}')
returns void language sql security definer set search_path = '' as $$
  insert into app.audit_log (actor, action, target, details) values (actor, action, left(target, 300), details)
$$;

-- Profiles -----------------------------------------------------------------------------------------------------------

create function app.lock_accounts() returns void language sql set search_path = '' as $$
  select pg_advisory_xact_lock(hashtextextended('rookery accounts', 0))
$$;

-- The first account is the administrator. The lock lets one of two first accounts be the first.
create function app.create_profile() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  wanted_name text := coalesce(
    nullif(trim(new.raw_user_meta_data ->> 'display_name'), ''),
    nullif(trim(new.raw_user_meta_data ->> 'full_name'), ''),
    nullif(split_part(new.email, '@', 1), ''),
    'New user'
  );
begin
  perform app.lock_accounts();
  insert into public.profiles (id, email, display_name, role)
  values (
    new.id,
    lower(new.email),
    left(wanted_name, 100),
    case when exists (select from public.profiles) then 'user' else 'admin' end
  );
  return null;
end
$$;
create trigger rookery_creates_profile after insert on auth.users
  for each row execute function app.create_profile();

create function app.follow_email() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set email = lower(new.email) where id = new.id;
  return null;
end
$$;
create trigger rookery_follows_email after update of email on auth.users
  for each row when (old.email is distinct from new.email) execute function app.follow_email();

-- Streams must close when an account changes: whoever listens reads its state anew.
create function app.notify_account() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform pg_notify(
    'rookery_accounts',
    json_build_object(
      'user', case when tg_table_name = 'profiles' then old.id else (to_jsonb(old) ->> 'user_id')::uuid end,
      'session', case when tg_table_name = 'sessions' then old.id end,
      'key', case when tg_table_name = 'api_keys' then old.id end
    )::text
  );
  return null;
end
$$;
create trigger profiles_notify after update of role, suspended_at or delete on public.profiles
  for each row execute function app.notify_account();
create trigger sessions_notify after update of revoked_at on app.sessions
  for each row when (old.revoked_at is distinct from new.revoked_at) execute function app.notify_account();
create trigger api_keys_notify after update of revoked_at on app.api_keys
  for each row when (old.revoked_at is distinct from new.revoked_at) execute function app.notify_account();

-- Row level security: profiles to their owner and to administrators, everything in app to procedures alone. -----------

alter table public.profiles enable row level security;
revoke all on public.profiles from public, anon, authenticated, service_role;
grant select, update (display_name) on public.profiles to authenticated;
create policy "people read themselves, administrators all" on public.profiles for select to authenticated
  using (id = (select app.current_user_id()) or (select app.is_admin()));
create policy "people name themselves" on public.profiles for update to authenticated
  using (id = (select app.current_user_id()) and (select app.can_write()))
  with check (id = (select app.current_user_id()));

do $$
declare
  private_table text;
begin
  foreach private_table in array array[
    'sessions', 'refresh_tokens', 'identities', 'one_time_tokens', 'api_keys', 'audit_log', 'settings'
  ] loop
    execute format('alter table app.%I enable row level security', private_table);
    execute format('revoke all on app.%I from public, anon, authenticated, service_role', private_table);
    execute format('create policy "procedures alone" on app.%I for all using (false)', private_table);
  end loop;
end
$$;

revoke execute on all functions in schema app from public, anon, authenticated, service_role;
grant execute on function app.current_user_id(), app.can_write(), app.is_admin() to authenticated;
