-- What administrators do, what the audit log tells, and how an account ends.

create function app.set_role(user_id uuid, role text) returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
  before text;
begin
  if set_role.role not in ('admin', 'user', 'read_only') then
    perform app.fail('invalid_request', 'Cannot give this role: there are admin, user and read_only');
  end if;
  perform app.lock_accounts();
  before := (select profile.role from public.profiles profile where profile.id = set_role.user_id);
  if before is null then
    perform app.fail('not_found', 'There is no such account');
  elsif before = 'admin' and set_role.role <> 'admin' then
    perform app.require_other_admin(set_role.user_id);
  end if;
  update public.profiles profile set role = set_role.role where profile.id = set_role.user_id;
  perform app.audit(actor, 'role_changed', set_role.user_id::text,
    jsonb_build_object('before', before, 'after', set_role.role));
end
$$;

-- Refuses what would leave nobody in charge. Called under app.lock_accounts().
create function app.require_other_admin(account uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  if not exists (
    select from public.profiles where role = 'admin' and suspended_at is null and id <> account
  ) then
    perform app.fail('conflict', 'Cannot do this to the only administrator: make another one first');
  end if;
end
$$;

create function app.suspend(user_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
begin
  perform app.lock_accounts();
  if exists (select from public.profiles where id = suspend.user_id and role = 'admin') then
    perform app.require_other_admin(suspend.user_id);
  end if;
  update public.profiles set suspended_at = coalesce(suspended_at, now()) where id = suspend.user_id;
  if not found then
    perform app.fail('not_found', 'There is no such account');
  end if;
  perform app.audit(actor, 'suspended', suspend.user_id::text);
end
$$;

create function app.unsuspend(user_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
begin
  update public.profiles set suspended_at = null where id = unsuspend.user_id;
  if not found then
    perform app.fail('not_found', 'There is no such account');
  end if;
  perform app.audit(actor, 'unsuspended', unsuspend.user_id::text);
end
$$;

-- An invitation for one account, for whoever holds the link or, with an address, for it alone.
create function app.create_invitation(
  token_hash bytea, role text, expires_at timestamptz, email text default null
) returns void language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
begin
  if create_invitation.role not in ('admin', 'user', 'read_only') then
    perform app.fail('invalid_request', 'Cannot invite with this role: there are admin, user and read_only');
  end if;
  insert into app.one_time_tokens (hash, kind, email, role, created_by, expires_at)
  values (token_hash, 'invitation', lower(email), role, actor, expires_at);
  perform app.audit(actor, 'invitation_created', lower(email), jsonb_build_object('role', role));
end
$$;

-- A link with which somebody who has lost the password sets a new one, where no mail goes out.
create function app.create_reset_token(user_id uuid, token_hash bytea, expires_at timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
begin
  if not exists (select from public.profiles where id = create_reset_token.user_id) then
    perform app.fail('not_found', 'There is no such account');
  end if;
  insert into app.one_time_tokens (hash, kind, user_id, created_by, expires_at)
  values (token_hash, 'reset', create_reset_token.user_id, actor, expires_at);
  perform app.audit(actor, 'reset_link_created', create_reset_token.user_id::text);
end
$$;

-- Accounts in the order of their making, with what an administrator looks for.
create function app.list_users(search text default null, after_id uuid default null, row_limit integer default 50)
returns table (
  id uuid, email text, display_name text, role text, suspended_at timestamptz, created_at timestamptz,
  last_sign_in_at timestamptz, sessions bigint, keys bigint
) language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_admin();
  return query
    with page as (
      select profile.* from public.profiles profile
      where (search is null
          or strpos(lower(profile.email), lower(search)) > 0
          or strpos(lower(profile.display_name), lower(search)) > 0)
        and (after_id is null
          or (profile.created_at, profile.id)
            > (select previous.created_at, previous.id from public.profiles previous where previous.id = after_id))
      order by profile.created_at, profile.id
      limit least(greatest(row_limit, 1), 500)
    )
    select page.id, page.email, page.display_name, page.role, page.suspended_at, page.created_at,
      account.last_sign_in_at,
      (select count(*) from app.sessions session
        where session.user_id = page.id and session.revoked_at is null and session.expires_at > now()),
      (select count(*) from app.api_keys key where key.user_id = page.id and key.revoked_at is null)
    from page join auth.users account on account.id = page.id
    order by page.created_at, page.id;
end
$$;

create function app.set_setting(name text, value jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
begin
  if set_setting.name !~ '^[a-z][a-z0-9_.]{0,63}$' or value is null then
    perform app.fail('invalid_request', 'Cannot keep a setting of this name or without a value');
  elsif set_setting.name = 'sign_up' and value not in ('"open"', '"invitation"', '"closed"') then
    perform app.fail('invalid_request', 'Cannot set sign_up to this: it is open, invitation or closed');
  end if;
  insert into app.settings as setting (name, value) values (set_setting.name, set_setting.value)
  on conflict on constraint settings_pkey do update set value = excluded.value;
  perform app.audit(actor, 'setting_changed', set_setting.name, jsonb_build_object('value', value));
end
$$;

create function app.list_settings() returns table (name text, value jsonb)
language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_admin();
  return query select setting.name, setting.value from app.settings setting order by setting.name;
end
$$;

-- The audit log, newest first; before_id is the last id of the page before.
create function app.read_audit(
  before_id bigint default null, row_limit integer default 50, of_actor uuid default null, of_action text default null
) returns setof app.audit_log language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_admin();
  return query
    select entry.* from app.audit_log entry
    where (before_id is null or entry.id < before_id)
      and (of_actor is null or entry.actor = of_actor)
      and (of_action is null or entry.action = of_action)
    order by entry.id desc
    limit least(greatest(row_limit, 1), 500);
end
$$;

-- Notes what the runtime alone sees. Without an account that is a failed sign-in; with one, an export or a sign-out.
create function app.record_event(action text, target text default null, details jsonb default '{}') returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid;
begin
  if record_event.action = 'sign_in_failed' then
    actor := app.current_user_id();
  elsif record_event.action in ('export', 'sign_out') then
    actor := app.require_account();
  else
    perform app.fail('invalid_request', 'Cannot note this in the audit log');
  end if;
  perform app.audit(actor, record_event.action, target, details);
end
$$;

-- Erases an account with its conversations, memberships, sessions and keys. What it said in conversations of others
-- stays there, without its name.
create function app.erase_account(account uuid, actor uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform app.lock_accounts();
  if exists (select from public.profiles where id = account and role = 'admin')
    and exists (select from public.profiles where id <> account)
  then
    perform app.require_other_admin(account);
  end if;
  delete from auth.users where id = account;
  if not found then
    perform app.fail('not_found', 'There is no such account');
  end if;
  perform app.audit(actor, 'account_deleted', account::text);
end
$$;

create function app.delete_account() returns void language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
begin
  -- A key that may only read deletes nothing; the owner of a read-only account may still leave.
  if app.claims() ->> 'app_role' = 'read_only' and exists (
    select from public.profiles where id = account and role <> 'read_only'
  ) then
    perform app.require_writer();
  end if;
  perform app.erase_account(account, account);
end
$$;

create function app.delete_user(user_id uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  perform app.erase_account(delete_user.user_id, app.require_admin());
end
$$;

-- Clears away what has ended: for the runtime's upkeep, once a day. Used refresh tokens go with their session.
create function app.purge_expired(older_than interval default '30 days') returns void
language plpgsql security definer set search_path = '' as $$
begin
  delete from app.sessions where expires_at < now() - older_than or revoked_at < now() - older_than;
  delete from app.one_time_tokens where expires_at < now() - older_than;
  delete from app.api_keys where revoked_at < now() - older_than;
end
$$;

revoke execute on function app.set_role(uuid, text), app.require_other_admin(uuid), app.suspend(uuid),
  app.unsuspend(uuid), app.create_invitation(bytea, text, timestamptz, text),
  app.create_reset_token(uuid, bytea, timestamptz), app.list_users(text, uuid, integer),
  app.set_setting(text, jsonb), app.list_settings(), app.read_audit(bigint, integer, uuid, text),
  app.record_event(text, text, jsonb), app.erase_account(uuid, uuid), app.delete_account(), app.delete_user(uuid),
  app.purge_expired(interval)
  from public, anon, authenticated, service_role;
grant execute on function app.set_role(uuid, text), app.suspend(uuid), app.unsuspend(uuid),
  app.create_invitation(bytea, text, timestamptz, text), app.create_reset_token(uuid, bytea, timestamptz),
  app.list_users(text, uuid, integer), app.set_setting(text, jsonb), app.list_settings(),
  app.read_audit(bigint, integer, uuid, text), app.delete_account(), app.delete_user(uuid) to authenticated;
grant execute on function app.record_event(text, text, jsonb) to anon, authenticated;
grant execute on function app.purge_expired(interval) to service_role;
