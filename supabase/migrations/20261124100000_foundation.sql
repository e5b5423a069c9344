-- The private schema, what its procedures share, and ids that sort by time.
--
-- Schema app is not exposed by PostgREST. Its functions are SECURITY DEFINER with an empty search_path; each migration
-- takes their execution away from everybody and grants it to exactly those who need it.

create schema if not exists extensions;
grant usage on schema extensions to anon, authenticated, service_role;
-- For search in titles; a Postgres without its contrib modules searches them without an index.
do $$
begin
  if exists (select from pg_available_extensions where name = 'pg_trgm') then
    create extension if not exists pg_trgm with schema extensions;
  end if;
end
$$;

create schema app;
grant usage on schema app to anon, authenticated, service_role;

create sequence app.uuid_v7_counter as bigint minvalue 0 maxvalue 67108863 start 0 cycle;

-- RFC 9562, version 7, method 1: 48 bits of milliseconds, a counter of 26 bits, 48 random bits. The counter keeps the
-- order of what is made within one millisecond, which is as fine as PGlite's clock gets. Postgres has this from 18 on.
create function app.uuid_v7() returns uuid language sql volatile security definer set search_path = '' as $$
  select encode(
    substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
      || int2send((28672 + (counter >> 14))::int4::int2)
      || substring(int4send((32768 + (counter & 16383))::int4) from 3)
      || substring(uuid_send(gen_random_uuid()) from 11),
    'hex'
  )::uuid
  from nextval('app.uuid_v7_counter') counter
$$;

-- Ends a procedure with a code of lib/contracts/error.ts and a sentence for people.
create function app.fail(code text, sentence text) returns void language plpgsql set search_path = '' as $$
begin
  raise exception using errcode = 'P0001', message = code, detail = sentence;
end
$$;

-- Raises for whoever changes what may only be added.
create function app.refuse_change() returns trigger language plpgsql set search_path = '' as $$
begin
  perform app.fail('forbidden', format('Cannot change %s: it is only ever added to', tg_table_name));
  return null;
end
$$;

create function app.claims() returns jsonb language sql stable set search_path = '' as $$
  select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb, '{}'::jsonb)
$$;

-- True for the runtime itself, at work without a user. The role is what "set role" says, also inside SECURITY DEFINER.
create function app.is_service() returns boolean language sql stable set search_path = '' as $$
  select coalesce(current_setting('role', true), '') = 'service_role'
$$;

revoke execute on all functions in schema app from public, anon, authenticated, service_role;
