-- The roles that Supabase brings, where the database has none: PGlite, and a Postgres of the operator's own.
-- Safe to run at every start, as the owner of the database, before the migrations.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      execute format('create role %I nologin noinherit', wanted);
    end if;
    -- The runtime enters these roles with "set local role", also where its own user is no superuser.
    if not pg_has_role(current_user, wanted, 'member') then
      execute format('grant %I to current_user', wanted);
    end if;
  end loop;

  -- Whoever logs in for PostgREST: it has no rights but to become one of the three.
  if not exists (select from pg_roles where rolname = 'authenticator') then
    create role authenticator nologin noinherit;
    grant anon, authenticated, service_role to authenticator;
  end if;
end
$$;
