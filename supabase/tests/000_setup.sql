-- What the other files stand on: pgTAP, people, and ways to become them. It stays in the database that is tested.
begin;
do $$
begin
  -- Where it is not to be installed, whoever runs the tests has run its script in this schema.
  if to_regprocedure('extensions.plan(integer)') is null then
    create extension if not exists pgtap with schema extensions;
  end if;
end
$$;
set local search_path = public, extensions;

drop schema if exists tests cascade;
create schema tests;
grant usage on schema tests to public;

-- An account named name@example.org.
create function tests.make_user(name text, role text default 'user') returns uuid language plpgsql as $$
declare
  account uuid := gen_random_uuid();
begin
  insert into auth.users (id, email, encrypted_password, raw_user_meta_data)
  values (account, name || '@example.org', 'hash of ' || name, jsonb_build_object('display_name', initcap(name)));
  update public.profiles set role = make_user.role where id = account;
  return account;
end
$$;

create function tests.id(name text) returns uuid language sql stable security definer as $$
  select id from public.profiles where email = name || '@example.org'
$$;

-- Keeps a value until the end of the transaction, for whoever one is then.
create function tests.keep(name text, value anyelement) returns void language sql as $$
  select set_config('tests.' || name, value::text, true)
$$;
create function tests.kept(name text) returns uuid language sql stable as $$
  select current_setting('tests.' || name)::uuid
$$;

-- 32 bytes, as of a SHA-256.
create function tests.hash(secret text) returns bytea language sql immutable as $$
  select sha256(convert_to(secret, 'utf8'))
$$;

create function tests.as(role text, claims jsonb) returns void language sql as $$
  select set_config('request.jwt.claims', (claims || jsonb_build_object('role', role))::text, true),
    set_config('role', role, true)
$$;
-- claims may hold session_id and app_role.
create function tests.as_user(name text, claims jsonb default '{}') returns void language sql as $$
  select tests.as('authenticated', claims || jsonb_build_object('sub', tests.id(name)))
$$;
create function tests.as_anonymous() returns void language sql as $$
  select tests.as('anon', '{"sub": null}')
$$;
create function tests.as_nobody() returns void language sql as $$
  select tests.as('authenticated', '{"sub": null}')
$$;
create function tests.as_service() returns void language sql as $$
  select tests.as('service_role', '{"sub": null}')
$$;
create function tests.as_database_owner() returns void language sql as $$
  select set_config('request.jwt.claims', '', true), set_config('role', 'none', true)
$$;

-- Everybody that there may be: an administrator, two people who write, one who only reads what others share, one whose
-- account may only read, one who is suspended, and one who has nothing to do with it all.
create function tests.make_people() returns void language plpgsql as $$
begin
  perform tests.make_user('alice', 'admin');
  perform tests.make_user('ann');
  perform tests.make_user('will');
  perform tests.make_user('rita');
  perform tests.make_user('rose', 'read_only');
  perform tests.make_user('sam');
  perform tests.make_user('eve');
end
$$;

-- Ann's conversation: a question and its answer. Will and Sam may write in it, Rita and Rose read it (Rose's account
-- reads alone, whatever the membership says), Eve is not in it. Then Sam is suspended.
create function tests.make_conversation() returns void language plpgsql as $$
declare
  made record;
begin
  perform tests.as_user('ann');
  select * into made from app.create_conversation('Birds of the marsh', 'some-model');
  perform tests.keep('conversation', made.conversation_id), tests.keep('thread', made.thread_id);
  perform app.share(made.conversation_id, 'will@example.org', 'writer');
  perform app.share(made.conversation_id, 'sam@example.org', 'writer');
  perform app.share(made.conversation_id, 'rita@example.org', 'reader');
  perform app.share(made.conversation_id, 'rose@example.org', 'writer');
  perform tests.keep('question', app.post_message(made.conversation_id, null, 'user', 'Which birds nest there?'));
  perform tests.keep('answer', app.begin_answer(tests.kept('question'), 'some-model', 'runtime-1'));
  perform app.append_chunks(tests.kept('answer'), '[{"kind": "text", "body": "Rooks "}, {"kind": "text", "body": "do."}]');
  perform app.finish_answer(tests.kept('answer'), 'complete', usage => '{"completionTokens": 2}');
  perform tests.as_database_owner();
  update public.profiles set suspended_at = now() where id = tests.id('sam');
end
$$;

commit;

begin;
set local search_path = public, extensions;
select plan(1);
select has_schema('tests', 'The helpers of the tests are there');
select * from finish();
rollback;
