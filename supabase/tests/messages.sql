-- Messages: where they go, that they stay as they are, and the marks of deletion.
begin;
set local search_path = public, extensions;
select plan(42);
select tests.make_people();
select tests.make_conversation();

-- Posting -------------------------------------------------------------------------------------------------------------
select tests.as_user('will');
select tests.keep('reply', app.post_message(tests.kept('conversation'), tests.kept('answer'), 'user', 'And coots?'));
select results_eq($$ select parent_id, thread_id, depth, message_type, content, state, author_id, finished_at is not null
  from messages where id = tests.kept('reply') $$,
  $$ select tests.kept('answer'), tests.kept('thread'), 2, 'user', 'And coots?', 'complete', tests.id('will'), true $$,
  'A message follows its parent, in its thread');
select is((select leaf_id from conversation_members where user_id = tests.id('will')), tests.kept('reply'),
  'Who writes looks at what was written');
select tests.keep('edit', app.post_message(tests.kept('conversation'), tests.kept('answer'), 'user', 'And moorhens?'));
select results_eq($$ select id from messages where parent_id = tests.kept('answer') order by id $$,
  $$ select unnest(array[tests.kept('reply'), tests.kept('edit')]) $$, 'An edit is a sibling, after the first');
select tests.keep('aside', app.post_message(
  tests.kept('conversation'), tests.kept('answer'), 'note', 'By the way', thread_name => 'Aside'));
select results_eq($$ select name, root_message_id from threads where id =
  (select thread_id from messages where id = tests.kept('aside')) $$, $$ select 'Aside', tests.kept('aside') $$,
  'A message may begin a thread');
select tests.keep('tool', app.post_message(
  tests.kept('conversation'), tests.kept('aside'), 'tool', '{}', tool_call_id => 'call_1'));
select is((select thread_id from messages where id = tests.kept('tool')),
  (select thread_id from messages where id = tests.kept('aside')), 'What follows it is in that thread');
select tests.keep('beginning', app.post_message(tests.kept('conversation'), null, 'user', 'Which birds breed there?'));
select results_eq($$ select depth, thread_id from messages where id = tests.kept('beginning') $$,
  $$ select 0, tests.kept('thread') $$, 'The beginning can be worded anew, too');
select throws_ok($$ select app.post_message(tests.kept('conversation'), null, 'assistant', 'x') $$, 'P0001',
  'invalid_request', 'Nobody puts words into the mouth of a model');
select throws_ok($$ select app.post_message(tests.kept('conversation'), null, 'poem', 'x') $$, 'P0001',
  'invalid_request', 'There are seven types');
select throws_ok($$ select app.post_message(tests.kept('conversation'), null, 'user', repeat('x', 2000001)) $$, 'P0001',
  'invalid_request', 'A message has a limit');
select throws_ok($$ select app.post_message(tests.kept('conversation'), gen_random_uuid(), 'user', 'x') $$, 'P0001',
  'not_found', 'A parent that is not there is refused');
select throws_ok($$ select app.post_message(gen_random_uuid(), null, 'user', 'x') $$, 'P0001', 'not_found',
  'As is a conversation that is not there');
select throws_ok($$ select app.post_message(null, null, 'user', 'x') $$, 'P0001', 'not_found', '… or is not named');
select tests.keep('foreign', (select conversation_id from app.create_conversation('Another')));
select throws_ok($$ select app.post_message(tests.kept('foreign'), tests.kept('answer'), 'user', 'x') $$, 'P0001',
  'not_found', 'No message follows on one of another conversation');

-- They stay -----------------------------------------------------------------------------------------------------------
select tests.as_database_owner();
create function tests.refuses_change(assignment text) returns text language sql as $$
  select throws_ok(format('update messages set %s where id = %L', assignment, tests.kept('answer')), 'P0001',
    'forbidden', 'Not even the owner of the database may set ' || assignment)
$$;
select tests.refuses_change(assignment) from unnest(array[
  $a$ content = 'Something else' $a$, $a$ reasoning = 'Hm' $a$, $a$ tool_calls = '[]' $a$,
  $a$ message_type = 'user' $a$, $a$ parent_id = null, depth = 0 $a$, $a$ state = 'stopped' $a$,
  $a$ model = 'another' $a$, $a$ usage = '{}' $a$, $a$ error = '{}' $a$, $a$ created_at = now() $a$,
  $a$ finished_at = now() $a$, $a$ author_id = (select id from profiles where email = 'eve@example.org') $a$,
  $a$ id = gen_random_uuid() $a$
]) assignment;
select throws_ok('delete from messages', 'P0001', 'forbidden', 'Nor delete it');
set constraints all immediate;
select throws_ok('truncate messages cascade', 'P0001', 'forbidden', 'Nor empty the table');
select throws_ok('update message_chunks set body = $$"x"$$', 'P0001', 'forbidden', 'Nor change a chunk');
select throws_ok('delete from message_chunks', 'P0001', 'forbidden', 'Nor delete one');
select throws_ok($$ insert into message_chunks values (tests.kept('answer'), 4, 'text', '"x"') $$, 'P0001', 'conflict',
  'Nor add one to what has ended');

-- Deletion is a mark --------------------------------------------------------------------------------------------------
select tests.as_user('will');
select is(app.delete_message(tests.kept('tool')), 1, 'A leaf is marked');
select is(app.delete_message(tests.kept('answer')), 4, 'With a message goes what follows on it, and is not gone yet');
select is((select count(*) from messages where deleted_at is null), 2::bigint, 'The rest is not marked');
select is((select content from messages where id = tests.kept('answer')), 'Rooks do.', 'What was said stays');
select is(app.delete_message(tests.kept('answer')), 0, 'What is marked is not marked again');
select throws_ok($$ select app.post_message(tests.kept('conversation'), tests.kept('answer'), 'user', 'x') $$, 'P0001',
  'conflict', 'Nothing follows on it');
select throws_ok($$ select app.undelete_message(tests.kept('reply')) $$, 'P0001', 'conflict',
  'Nothing comes back before what it follows on');
select is(app.undelete_message(tests.kept('answer')), 4, 'Undo brings back what went together');
select isnt((select deleted_at from messages where id = tests.kept('tool')), null, '… and not what had gone before');
select is(app.undelete_message(tests.kept('tool')), 1, 'That comes back by itself');
select is(app.undelete_message(tests.kept('tool')), 0, 'What is there does not come back');

select * from finish();
rollback;
