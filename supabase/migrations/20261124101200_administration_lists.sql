-- What administrators see of all accounts: sessions, keys and invitations. The last row of a page is where the next one
-- begins, also when that row is gone by then.

create index sessions_created_at_idx on app.sessions (created_at, id);
create index one_time_tokens_invitations_idx on app.one_time_tokens (created_at, hash) where kind = 'invitation';

-- Sessions that have not ended, the youngest first.
create function app.list_all_sessions(
  of_user uuid default null, before_at timestamptz default null, before_id uuid default null,
  row_limit integer default 50
) returns table (
  id uuid, user_id uuid, email text, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz,
  user_agent text, address text
) language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_admin();
  return query
    select session.id, session.user_id, profile.email, session.created_at, session.last_used_at, session.expires_at,
      session.user_agent, session.address
    from app.sessions session
    join public.profiles profile on profile.id = session.user_id
    where session.revoked_at is null and session.expires_at > now()
      and (of_user is null or session.user_id = of_user)
      and (before_at is null or (session.created_at, session.id) < (before_at, before_id))
    order by session.created_at desc, session.id desc
    limit least(greatest(row_limit, 1), 500);
end
$$;

-- Keys, the youngest first; those that were revoked until upkeep clears them away. Their ids are in the order of time.
create function app.list_all_api_keys(
  of_user uuid default null, before_id uuid default null, row_limit integer default 50
) returns table (
  id uuid, user_id uuid, email text, name text, scopes text[], hint text, created_at timestamptz,
  expires_at timestamptz, last_used_at timestamptz, revoked_at timestamptz
) language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_admin();
  return query
    select key.id, key.user_id, profile.email, key.name, key.scopes, key.hint, key.created_at, key.expires_at,
      key.last_used_at, key.revoked_at
    from app.api_keys key
    join public.profiles profile on profile.id = key.user_id
    where (of_user is null or key.user_id = of_user) and (before_id is null or key.id < before_id)
    order by key.id desc
    limit least(greatest(row_limit, 1), 500);
end
$$;

-- Invitations, the youngest first. They are told apart by the hashes of their tokens, from which no token can be made.
create function app.list_invitations(
  before_at timestamptz default null, before_hash bytea default null, row_limit integer default 50
) returns table (
  hash bytea, email text, role text, created_by uuid, created_at timestamptz, expires_at timestamptz,
  used_at timestamptz
) language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_admin();
  return query
    select token.hash, token.email, token.role, token.created_by, token.created_at, token.expires_at, token.used_at
    from app.one_time_tokens token
    where token.kind = 'invitation'
      and (before_at is null or (token.created_at, token.hash) < (before_at, before_hash))
    order by token.created_at desc, token.hash desc
    limit least(greatest(row_limit, 1), 500);
end
$$;

-- Takes an invitation back that nobody has used.
create function app.revoke_invitation(token_hash bytea) returns void
language plpgsql security definer set search_path = '' as $$
declare
  actor uuid := app.require_admin();
  invited text;
begin
  delete from app.one_time_tokens
  where hash = token_hash and kind = 'invitation' and used_at is null
  returning email into invited;
  if not found then
    perform app.fail('not_found', 'There is no such invitation, or somebody has used it');
  end if;
  perform app.audit(actor, 'invitation_revoked', invited);
end
$$;

revoke execute on function app.list_all_sessions(uuid, timestamptz, uuid, integer),
  app.list_all_api_keys(uuid, uuid, integer), app.list_invitations(timestamptz, bytea, integer),
  app.revoke_invitation(bytea)
  from public, anon, authenticated, service_role;
grant execute on function app.list_all_sessions(uuid, timestamptz, uuid, integer),
  app.list_all_api_keys(uuid, uuid, integer), app.list_invitations(timestamptz, bytea, integer),
  app.revoke_invitation(bytea) to authenticated;
