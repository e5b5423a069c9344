-- Signing up: the first account, the three policies, invitations; signing in by password; lost passwords; identities.
begin;
set local search_path = public, extensions;
select plan(52);

-- The first account ---------------------------------------------------------------------------------------------------
select tests.as_anonymous();
select results_eq('select * from app.sign_up_policy()', $$ values ('invitation', false) $$,
  'A new Rookery has no account, and invites');
select throws_ok($$ select app.create_user('first@example.org', 'hash', 'First') $$, 'P0001', 'invalid_link',
  'The first account needs the token of the start');
select throws_ok($$ select app.create_first_admin_token(tests.hash('start'), now() + interval '1 hour') $$, '42501',
  null, 'Nobody but the runtime makes that token');

select tests.as_service();
select ok(app.create_first_admin_token(tests.hash('old'), now() + interval '1 hour'), 'The runtime makes a token');
select ok(app.create_first_admin_token(tests.hash('start'), now() + interval '1 hour'),
  'At the next start, another one takes its place');

select tests.as_anonymous();
select throws_ok($$ select app.create_user('first@example.org', 'hash', 'First', tests.hash('old')) $$, 'P0001',
  'invalid_link', 'The token of an earlier start is of no use');
select throws_ok($$ select app.create_user('nonsense', 'hash', 'First', tests.hash('start')) $$, 'P0001',
  'invalid_request', 'An address has an @ in it');
select throws_ok($$ select app.create_user('a@example.org', '', 'First', tests.hash('start')) $$, 'P0001',
  'invalid_request', 'An account with a password has a password');
select lives_ok($$ select app.create_user('First@Example.org', 'hash of first', 'First', tests.hash('start')) $$,
  'With the token, the first account is made');
select throws_ok($$ select app.create_user('b@example.org', 'hash', 'B', tests.hash('start')) $$, 'P0001',
  'invalid_link', 'The token works once');

select tests.as_database_owner();
select results_eq('select email, display_name, role from profiles',
  $$ values ('first@example.org', 'First', 'admin') $$, 'The first account is the administrator');
select results_eq($$
  select instance_id::text, aud::text, role::text, email::text, encrypted_password::text,
    email_confirmed_at is not null, confirmation_token::text, recovery_token::text, email_change::text,
    email_change_token_new::text, raw_app_meta_data ->> 'provider'
  from auth.users
$$, $$ values ('00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated', 'first@example.org',
  'hash of first', true, '', '', '', '', 'email') $$, 'Supabase Auth could sign it in');
select tests.as_service();
select ok(not app.create_first_admin_token(tests.hash('again'), now() + interval '1 hour'),
  'Where there is an account, there is no such token any more');
select tests.as_database_owner();
insert into auth.users (id, email) values (gen_random_uuid(), 'gotrue@example.org');
select results_eq($$ select display_name, role from profiles where email = 'gotrue@example.org' $$,
  $$ values ('gotrue', 'user') $$, 'A user of Supabase Auth has a profile as well');
update auth.users set email = 'Other@example.org' where email = 'gotrue@example.org';
select is((select count(*) from profiles where email = 'other@example.org'), 1::bigint,
  'The profile follows the address');

-- Policies ------------------------------------------------------------------------------------------------------------
select tests.as_anonymous();
select throws_ok($$ select app.create_user('c@example.org', 'hash', 'C', null, false) $$, 'P0001', 'sign_up_closed',
  'By invitation, nobody signs up without one');
select throws_ok($$ select app.create_invitation(tests.hash('i'), 'user', now() + interval '1 day') $$, '42501', null,
  'Who has not signed in invites nobody');

select tests.as_database_owner();
select tests.make_user('uma'), tests.make_user('admina', 'admin');
select tests.as_user('uma');
select throws_ok($$ select app.create_invitation(tests.hash('i'), 'admin', now() + interval '1 day') $$, 'P0001',
  'forbidden', 'Administrators alone invite');
select tests.as_user('admina');
select throws_ok($$ select app.create_invitation(tests.hash('i'), 'king', now() + interval '1 day') $$, 'P0001',
  'invalid_request', 'There are three roles to invite with');
select lives_ok($$
  select app.create_invitation(tests.hash('for all'), 'read_only', now() + interval '1 day'),
    app.create_invitation(tests.hash('for carl'), 'user', now() + interval '1 day', 'Carl@example.org'),
    app.create_invitation(tests.hash('over'), 'user', now() - interval '1 second')
$$, 'Administrators invite with a role, for everybody or for an address');

select tests.as_anonymous();
select throws_ok($$ select app.create_user('c@example.org', 'hash', 'C', tests.hash('over')) $$, 'P0001',
  'invalid_link', 'An invitation ends');
select throws_ok($$ select app.create_user('c@example.org', 'hash', 'C', tests.hash('for carl')) $$, 'P0001',
  'invalid_link', 'An invitation for an address is for it alone');
select lives_ok($$ select app.create_user('carl@example.org', 'hash', 'Carl', tests.hash('for carl')) $$,
  'The address signs up with it');
select lives_ok($$ select app.create_user('dan@example.org', 'hash', 'Dan', tests.hash('for all')) $$,
  'Anybody signs up with an invitation for all');
select throws_ok($$ select app.create_user('e@example.org', 'hash', 'E', tests.hash('for all')) $$, 'P0001',
  'invalid_link', 'An invitation is for one account');
select tests.as_database_owner();
select results_eq($$ select display_name, role from profiles where display_name in ('Carl', 'Dan') order by 1 $$,
  $$ values ('Carl', 'user'), ('Dan', 'read_only') $$, 'The invitation gives the role');

select tests.as_user('admina');
select app.set_setting('sign_up', '"open"');
select tests.as_anonymous();
select lives_ok($$ select app.create_user('open@example.org', 'hash', 'Open') $$, 'Open means that anybody signs up');
select throws_ok($$ select app.create_user('OPEN@example.org', 'hash', 'Open') $$, 'P0001', 'account_exists',
  'An address has one account, however it is written');
select tests.as_user('admina');
select app.set_setting('sign_up', '"closed"');
select app.create_invitation(tests.hash('late'), 'user', now() + interval '1 day');
select tests.as_anonymous();
select throws_ok($$ select app.create_user('f@example.org', 'hash', 'F') $$, 'P0001', 'sign_up_closed',
  'Closed means that nobody signs up');
select throws_ok($$ select app.create_user('f@example.org', 'hash', 'F', tests.hash('late')) $$, 'P0001',
  'sign_up_closed', 'Closed means it for the invited, too');

-- Passwords -----------------------------------------------------------------------------------------------------------
select results_eq($$ select user_id = tests.id('open'), password_hash, suspended from app.find_login('Open@Example.org') $$,
  $$ values (true, 'hash', false) $$, 'A login is found by its address');
select is_empty($$ select * from app.find_login('nobody@example.org') $$, 'Nobody is found without an account');
select ok(not app.request_reset('nobody@example.org', tests.hash('r0'), now() + interval '1 hour'),
  'Nobody without an account gets a reset link');
select ok(app.request_reset('open@example.org', tests.hash('r1'), now() + interval '1 hour'),
  'An account may have a reset link mailed');
select tests.keep('session', app.begin_session(tests.id('open'), tests.hash('refresh'), now() + interval '1 day'));
select throws_ok($$ select app.use_reset_token(tests.hash('r0'), 'new') $$, 'P0001', 'invalid_link',
  'An unknown reset link is refused');
select is(app.use_reset_token(tests.hash('r1'), 'new hash'), tests.id('open'), 'A reset link sets the password');
select is((select password_hash from app.find_login('open@example.org')), 'new hash', 'The password is the new one');
select is_empty($$ select * from app.validate_session(tests.kept('session')) $$, 'It ends all sessions');
select throws_ok($$ select app.use_reset_token(tests.hash('r1'), 'newer') $$, 'P0001', 'invalid_link',
  'A reset link works once');

select tests.as_user('uma');
select throws_ok($$ select app.create_reset_token(tests.id('open'), tests.hash('r2'), now() + interval '1 hour') $$,
  'P0001', 'forbidden', 'Administrators alone make reset links');
select tests.as_user('admina');
select lives_ok($$ select app.create_reset_token(tests.id('open'), tests.hash('r2'), now() + interval '1 hour'),
  app.create_reset_token(tests.id('uma'), tests.hash('r3'), now() + interval '1 hour') $$,
  'Administrators make reset links');
select throws_ok($$ select app.create_reset_token(gen_random_uuid(), tests.hash('r4'), now()) $$, 'P0001',
  'not_found', 'There is no reset link for nobody');
select app.suspend(tests.id('uma'));
select tests.as_anonymous();
select throws_ok($$ select app.use_reset_token(tests.hash('r3'), 'new') $$, 'P0001', 'account_suspended',
  'A reset link does not bring back the suspended');
select ok(not app.request_reset('uma@example.org', tests.hash('r5'), now() + interval '1 hour'),
  'The suspended get none by mail');

select tests.as_user('open');
select lives_ok($$ select app.change_password('third hash') $$, 'People change their passwords');
select tests.as_anonymous();
select throws_ok($$ select app.use_reset_token(tests.hash('r2'), 'new') $$, 'P0001', 'invalid_link',
  'A new password makes earlier reset links useless');
select throws_ok($$ select app.change_password('x') $$, '42501', null, 'Nobody changes nobody''s password');
select tests.as_user('dan');
select throws_ok($$ select app.change_password('x') $$, 'P0001', 'forbidden',
  'An account that may only read changes no password');

-- Profiles ------------------------------------------------------------------------------------------------------------
select tests.as_user('open');
select results_eq('select display_name from profiles', $$ values ('Open') $$, 'People see themselves alone');
update profiles set display_name = 'Olga';
select is((select display_name from profiles), 'Olga', 'People name themselves');
select throws_ok($$ update profiles set role = 'admin' $$, '42501', null, 'People do not give themselves a role');
select tests.as_user('dan');
update profiles set display_name = 'Changed';
select is((select display_name from profiles), 'Dan', 'An account that may only read does not even name itself');

select * from finish();
rollback;
