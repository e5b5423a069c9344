-- Sessions, their refresh tokens, identities of other providers, keys of programs.
begin;
set local search_path = public, extensions;
select plan(60);
select tests.make_people();
update public.profiles set suspended_at = now() where id = tests.id('sam');

-- Sessions ------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select throws_ok($$ select app.begin_session(tests.id('ann'), tests.hash('x'), now()) $$, '42501', null,
  'A session is begun by the runtime alone');
select tests.as_anonymous();
select throws_ok($$ select app.begin_session(gen_random_uuid(), tests.hash('x'), now() + interval '1 day') $$, 'P0001',
  'unauthorized', 'Nobody has no session');
select throws_ok($$ select app.begin_session(tests.id('sam'), tests.hash('x'), now() + interval '1 day') $$, 'P0001',
  'account_suspended', 'The suspended have no session');
select tests.keep('s1', app.begin_session(tests.id('ann'), tests.hash('r1'), now() + interval '1 day', 'Firefox', '::1'));
select tests.keep('s2', app.begin_session(tests.id('ann'), tests.hash('q1'), now() + interval '1 day'));
select results_eq($$ select * from app.validate_session(tests.kept('s1')) $$,
  $$ select tests.id('ann'), 'user', false $$, 'A session says whose it is, with the role of now');
select is_empty('select * from app.validate_session(gen_random_uuid())', 'An unknown session is nobody''s');

-- Rotation ------------------------------------------------------------------------------------------------------------
select results_eq($$ select failure, session_id, user_id, role
  from app.refresh_session(tests.hash('r1'), tests.hash('r2'), now() + interval '2 days') $$,
  $$ select null, tests.kept('s1'), tests.id('ann'), 'user' $$, 'A refresh token is exchanged for the next one');
select is((select failure from app.refresh_session(tests.hash('nonsense'), tests.hash('r3'))), 'unauthorized',
  'An unknown one is not');
select is((select failure from app.refresh_session(tests.hash('r1'), tests.hash('r3'))), 'conflict',
  'The same one from another tab, a moment later, is refused');
select isnt_empty($$ select * from app.validate_session(tests.kept('s1')) $$, '… and costs nobody the session');
select is((select failure from app.refresh_session(tests.hash('r3'), tests.hash('r4'))), 'unauthorized',
  '… and gives no new token');
select tests.as_database_owner();
select is((select expires_at from app.sessions where id = tests.kept('s1')), now() + interval '2 days',
  'A refresh may lengthen the session');
update app.refresh_tokens set used_at = now() - interval '11 seconds' where hash = tests.hash('r1');
select tests.as_anonymous();
select is((select failure from app.refresh_session(tests.hash('r1'), tests.hash('r3'))), 'session_revoked',
  'A used token that comes back later was stolen');
select is_empty($$ select * from app.validate_session(tests.kept('s1')) $$, '… the whole session ends');
select is((select failure from app.refresh_session(tests.hash('r2'), tests.hash('r3'))), 'session_revoked',
  '… with the tokens that were not used');
select isnt_empty($$ select * from app.validate_session(tests.kept('s2')) $$, '… and no other session');
select tests.as_database_owner();
select results_eq($$ select action, target from app.audit_log where actor = tests.id('ann') order by id $$,
  $$ select * from (values ('sign_in', tests.kept('s1')::text), ('sign_in', tests.kept('s2')::text),
    ('refresh_token_reused', tests.kept('s1')::text)) expected $$, 'The audit log tells of it');

update app.sessions set expires_at = now() where id = tests.kept('s2');
select tests.as_anonymous();
select is((select failure from app.refresh_session(tests.hash('q1'), tests.hash('q2'))), 'session_expired',
  'An ended session is not refreshed');
select is_empty($$ select * from app.validate_session(tests.kept('s2')) $$, '… nor valid');
select tests.keep('s3', app.begin_session(tests.id('will'), tests.hash('w1'), now() + interval '1 day'));
select tests.keep('s4', app.begin_session(tests.id('will'), tests.hash('w2'), now() + interval '1 day'));
select tests.keep('s5', app.begin_session(tests.id('will'), tests.hash('w3'), now() + interval '1 day'));

-- Suspended and revoked, inside the database --------------------------------------------------------------------------
select tests.as_user('will', jsonb_build_object('session_id', tests.kept('s3')));
select results_eq('select id, is_current from app.list_sessions() order by is_current desc, id',
  $$ select id, id = tests.kept('s3') from unnest(array[tests.kept('s3'), tests.kept('s4'), tests.kept('s5')]) id
    order by 2 desc, 1 $$, 'People see their sessions, and which one they are in');
select throws_ok($$ select * from app.list_sessions(tests.id('ann')) $$, 'P0001', 'forbidden',
  'They see nobody else''s');
select lives_ok($$ select app.revoke_session(tests.kept('s4')) $$, 'They end one of theirs');
select throws_ok($$ select app.revoke_session(tests.kept('s4')) $$, 'P0001', 'not_found', 'Once');
select is(app.revoke_other_sessions(), 1, 'They end all but the one that they are in');
select is((select count(*) from app.list_sessions()), 1::bigint, 'One is left');
select tests.as_user('eve');
select throws_ok($$ select app.revoke_session(tests.kept('s3')) $$, 'P0001', 'not_found', 'Nobody ends another''s');
select tests.as_user('alice');
select is((select count(*) from app.list_sessions(tests.id('will'))), 1::bigint, 'Administrators see them');
select lives_ok($$ select app.revoke_session(tests.kept('s3')) $$, 'Administrators end them');
select tests.as_user('will', jsonb_build_object('session_id', tests.kept('s3')));
select is(app.current_user_id(), null, 'Who is in a revoked session is nobody');
select is_empty('select * from profiles', '… reads nothing');
select throws_ok('select app.list_sessions()', 'P0001', 'session_revoked', '… and is told so');
select tests.as_user('sam');
select is(app.current_user_id(), null, 'The suspended are nobody');
select is_empty('select * from profiles', '… read nothing');
select throws_ok('select app.list_sessions()', 'P0001', 'account_suspended', '… and are told so');
select tests.as_nobody();
select throws_ok('select app.list_sessions()', 'P0001', 'unauthorized', 'Nobody has no sessions');
select tests.as_anonymous();
select throws_ok('select app.list_sessions()', '42501', null, 'Who has not signed in cannot even ask');

-- Identities ----------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select lives_ok($$ select app.link_identity('github', '42', 'Ann@Example.org') $$, 'People link an identity');
select throws_ok($$ select app.link_identity('github', '43') $$, 'P0001', 'conflict', 'One of each provider');
select results_eq('select provider, email from app.list_identities()', $$ values ('github', 'ann@example.org') $$,
  'They see what is linked');
select tests.as_user('will');
select throws_ok($$ select app.link_identity('github', '42') $$, 'P0001', 'conflict', 'An identity has one account');
select is_empty('select * from app.list_identities()', 'People see nobody else''s');
select throws_ok($$ select app.unlink_identity('github') $$, 'P0001', 'not_found', 'They unlink nobody else''s');
select tests.as_user('rose');
select throws_ok($$ select app.link_identity('apple', '1') $$, 'P0001', 'forbidden',
  'An account that may only read links nothing');
select tests.as_anonymous();
select results_eq($$ select user_id, suspended from app.find_identity('github', '42') $$,
  $$ select tests.id('ann'), false $$, 'An identity signs in');
select throws_ok($$ select app.create_user_from_identity('github', '42', 'new@example.org', 'New') $$, 'P0001',
  'account_exists', 'A known identity signs up no second time');
select tests.as_user('alice');
select app.set_setting('sign_up', '"open"');
select tests.as_anonymous();
select throws_ok($$ select app.create_user_from_identity('github', '50', 'Ann@example.org', 'Ann') $$, 'P0001',
  'account_exists', 'An identity with the address of an account does not take it over');
select tests.keep('gil', app.create_user_from_identity('apple', 'a.b.c', null, 'Gil'));
select is((select user_id from app.find_identity('apple', 'a.b.c')), tests.kept('gil'),
  'An identity without an address signs up');
select tests.as('authenticated', jsonb_build_object('sub', tests.kept('gil')));
select throws_ok($$ select app.unlink_identity('apple') $$, 'P0001', 'conflict',
  'The only way to sign in stays');
select app.change_password('hash');
select lives_ok($$ select app.unlink_identity('apple') $$, 'With a password it may go');

-- Keys ----------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select tests.keep('key', app.create_api_key('Editor', array['inference', 'read'], tests.hash('k1'), 'rk_…1'));
select tests.keep('key2', app.create_api_key('Old', array['read'], tests.hash('k2'), 'rk_…2', now() + interval '1 s'));
select throws_ok($$ select app.create_api_key('A', array['admin'], tests.hash('k3'), '') $$, 'P0001', 'forbidden',
  'People make no key for administration');
select tests.as_user('ann', '{"app_role": "read_only"}');
select throws_ok($$ select app.create_api_key('A', array['write'], tests.hash('k3'), '') $$, 'P0001', 'forbidden',
  'A key that may only read makes no key that may more');
select tests.as_user('rose');
select throws_ok($$ select app.create_api_key('A', array['read'], tests.hash('k3'), '') $$, 'P0001', 'forbidden',
  'An account that may only read makes no key');
select tests.as_anonymous();
select results_eq($$ select * from app.find_api_key(tests.hash('k1')) $$,
  $$ select tests.kept('key'), tests.id('ann'), 'user', array['inference', 'read'] $$,
  'A key says whose it is and what it may');
select is_empty($$ select * from app.find_api_key(tests.hash('k9')) $$, 'An unknown key is nobody''s');
select isnt_empty($$ select * from app.find_api_key(tests.hash('k1')) $$, 'It is used again');
select tests.as_database_owner();
select is((select count(*) from app.audit_log where action = 'key_used'), 1::bigint,
  'Its use is noted once a minute');
update app.api_keys set expires_at = now() where id = tests.kept('key2');
select tests.as_anonymous();
select is_empty($$ select * from app.find_api_key(tests.hash('k2')) $$, 'A key ends');
select tests.as_user('eve');
select throws_ok($$ select app.revoke_api_key(tests.kept('key')) $$, 'P0001', 'not_found', 'Nobody ends another''s key');
select tests.as_user('ann');
select results_eq('select name, last_used_at is not null from app.list_api_keys() order by name',
  $$ values ('Editor', true), ('Old', false) $$, 'People see their keys');
select app.revoke_api_key(tests.kept('key'));
select tests.as_anonymous();
select is_empty($$ select * from app.find_api_key(tests.hash('k1')) $$, 'A revoked key is refused at once');

select tests.as_user('will');
select app.create_api_key('W', array['read'], tests.hash('k4'), '');
select tests.as_user('alice');
select app.suspend(tests.id('will'));
select tests.as_anonymous();
select throws_ok($$ select * from app.find_api_key(tests.hash('k4')) $$, 'P0001', 'account_suspended',
  'The key of the suspended is refused at once');

select * from finish();
rollback;
