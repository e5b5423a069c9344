-- What administrators alone do, the audit log, and the end of accounts.
begin;
set local search_path = public, extensions;
select plan(59);
select tests.make_people();
select tests.make_conversation();

-- Nobody else --------------------------------------------------------------------------------------------------------
create function tests.refuses(person text, code text) returns setof text language plpgsql as $$
declare
  request text;
begin
  foreach request in array array[
    $r$ select app.set_role(tests.id('ann'), 'admin') $r$,
    $r$ select app.suspend(tests.id('will')) $r$,
    $r$ select app.unsuspend(tests.id('sam')) $r$,
    $r$ select app.create_reset_token(tests.id('ann'), tests.hash('t'), now() + interval '1 day') $r$,
    $r$ select app.create_invitation(tests.hash('t'), 'user', now() + interval '1 day') $r$,
    $r$ select app.list_users() $r$,
    $r$ select app.list_settings() $r$,
    $r$ select app.set_setting('sign_up', '"open"') $r$,
    $r$ select app.read_audit() $r$,
    $r$ select app.delete_user(tests.id('eve')) $r$
  ] loop
    return next throws_ok(request, 'P0001', code, person || ' cannot' || request);
  end loop;
end
$$;
select tests.as_user('ann');
select tests.refuses('ann', 'forbidden');
select tests.as_user('alice', '{"app_role": "user"}');
select tests.refuses('A key of alice without the scope admin', 'forbidden');
select tests.as_user('sam');
select tests.refuses('sam, who is suspended,', 'account_suspended');

-- Roles --------------------------------------------------------------------------------------------------------------
select tests.as_user('alice');
select throws_ok($$ select app.set_role(tests.id('alice'), 'user') $$, 'P0001', 'conflict',
  'The only administrator stays one');
select throws_ok($$ select app.suspend(tests.id('alice')) $$, 'P0001', 'conflict', '… and is not suspended');
select throws_ok($$ select app.set_role(tests.id('ann'), 'king') $$, 'P0001', 'invalid_request', 'There are three roles');
select throws_ok($$ select app.set_role(gen_random_uuid(), 'user') $$, 'P0001', 'not_found', 'Nobody has no role');
select app.set_role(tests.id('ann'), 'admin');
select lives_ok($$ select app.set_role(tests.id('alice'), 'user') $$, 'One of two administrators may step back');
select throws_ok('select app.list_users()', 'P0001', 'forbidden', '… and is none from the next statement on');
select tests.as_user('ann');
select results_eq($$ select display_name from app.list_users('will') $$, $$ values ('Will') $$,
  'Administrators look for accounts');
select is((select array_agg(page.id) from (
    select id from app.list_users(null, null, 3)
    union all
    select id from app.list_users(null, (select (array_agg(id))[3] from app.list_users(null, null, 3)), 100)
  ) page), (select array_agg(id) from app.list_users()), 'Pages of accounts follow each other without a gap');
select app.suspend(tests.id('will'));
select tests.as_user('will');
select is_empty('select * from conversations', 'Suspension works on the next statement');
select tests.as_user('ann');
select app.unsuspend(tests.id('will'));
select tests.as_user('will');
select isnt_empty('select * from conversations', '… as does its end');

-- Audit ---------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select results_eq($$ select action, actor, details ->> 'after' from app.read_audit(of_action => 'role_changed') $$,
  $$ select * from (values ('role_changed', tests.id('ann'), null::text)) v where false
    union all values ('role_changed', tests.id('alice'), 'user'), ('role_changed', tests.id('alice'), 'admin') $$,
  'Role changes are in the log, the latest first');
select results_eq('select id from app.read_audit((select max(id) from app.read_audit()), 2)',
  'select id from app.read_audit() offset 1 limit 2', 'It is read in pages');
select throws_ok($$ select app.record_event('account_deleted') $$, 'P0001', 'invalid_request',
  'The runtime notes nothing that procedures note');
select lives_ok($$ select app.record_event('export', 'a conversation') $$, 'It notes an export');
select tests.as_anonymous();
select lives_ok($$ select app.record_event('sign_in_failed', 'x@example.org') $$, 'It notes a failed sign-in');
select throws_ok($$ select app.record_event('export') $$, 'P0001', 'unauthorized', 'Nobody exports nothing');
select tests.as_database_owner();
select throws_ok($$ update app.audit_log set action = 'x' $$, 'P0001', 'forbidden', 'Nobody changes the log');
select throws_ok('delete from app.audit_log', 'P0001', 'forbidden', 'Nobody takes anything out of it');
select throws_ok('truncate app.audit_log', 'P0001', 'forbidden', 'Nobody empties it');

-- Settings ------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select throws_ok($$ select app.set_setting('sign_up', '"always"') $$, 'P0001', 'invalid_request',
  'A policy is one of three');
select app.set_setting('sign_up', '"closed"'), app.set_setting('sign_up', '"open"');
select results_eq('select * from app.list_settings()', $$ values ('sign_up', '"open"'::jsonb) $$,
  'The last value is kept');

-- The end of accounts -------------------------------------------------------------------------------------------------
select throws_ok('select app.delete_account()', 'P0001', 'conflict', 'The only administrator does not just go');
select tests.as_user('will');
select app.post_message(tests.kept('conversation'), tests.kept('answer'), 'user', 'Said by Will');
select app.create_conversation('Will''s own');
select app.delete_account();
select throws_ok('select app.list_sessions()', 'P0001', 'unauthorized', 'A deleted account is nobody');
select tests.as_user('ann');
select results_eq($$ select content, author_id from messages where content like 'Said by%' $$,
  $$ values ('Said by Will', null::uuid) $$, 'What it said to others stays, without its name');
select tests.as_database_owner();
select is_empty($$ select title from conversations where title = 'Will''s own' $$, 'Its own conversations are gone');
delete from auth.users where id = tests.id('rita');
select is((select count(*) from conversation_members where conversation_id = tests.kept('conversation')), 3::bigint,
  'A user who is deleted in Supabase''s dashboard is gone from everywhere, too');
select tests.as_user('ann');
select app.set_role(tests.id('eve'), 'admin');
select tests.as_user('eve');
select lives_ok($$ select app.delete_user(tests.id('ann')) $$, 'An administrator deletes an account');
select tests.as_database_owner();
select is_empty('select * from messages', '… with all that was said in its conversations');
select is((select count(*) from app.audit_log where action = 'account_deleted'), 2::bigint,
  'The log tells of accounts that are no more');

select * from finish();
rollback;
