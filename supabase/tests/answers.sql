-- Answers in progress: chunks in order, one end, and what becomes of them when their runtime dies.
begin;
set local search_path = public, extensions;
select plan(51);
select tests.make_people();
select tests.make_conversation();

create function tests.state(name text) returns text language sql stable security definer as $$
  select state from public.messages where id = tests.kept(name)
$$;

-- Chunks --------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select results_eq($$ select seq, kind, body from message_chunks where message_id = tests.kept('answer') order by seq $$,
  $$ values (1::bigint, 'text', '"Rooks "'::jsonb), (2, 'text', '"do."'),
    (3, 'done', '{"state": "complete", "usage": {"completionTokens": 2}, "error": null}') $$,
  'An answer is its chunks, and how it ended');
select is((select content from messages where id = tests.kept('answer')), 'Rooks do.',
  'Put together, they are its content');
select tests.keep('a', app.begin_answer(tests.kept('question'), 'some-model', 'runtime-1'));
select results_eq($$ select parent_id, message_type, state, content, model, finished_at, author_id
  from messages where id = tests.kept('a') $$,
  $$ select tests.kept('question'), 'assistant', 'in_progress', '', 'some-model', null::timestamptz, tests.id('ann') $$,
  'A second answer is a sibling in progress');
select is(app.append_chunks(tests.kept('a'), '[{"kind": "reasoning", "body": "Hm."}, {"kind": "text", "body": "B"}]', 1),
  2::bigint, 'Chunks are numbered');
select is(app.append_chunks(tests.kept('a'), '[{"kind": "text", "body": "B"}, {"kind": "text", "body": "ut"}]', 2),
  3::bigint, 'What is sent again is stored once');
select is(app.append_chunks(tests.kept('a'), '[{"kind": "text", "body": "B"}, {"kind": "text", "body": "ut"}]', 2),
  3::bigint, '… also when all of it is');
select is(app.append_chunks(tests.kept('a'), '[]'), 3::bigint, 'No chunks are no mistake');
select results_eq($$ select seq, body #>> '{}' from message_chunks where message_id = tests.kept('a') order by seq $$,
  $$ values (1::bigint, 'Hm.'), (2, 'B'), (3, 'ut') $$, 'Nothing is missing and nothing is there twice');
select throws_ok($$ select app.append_chunks(tests.kept('a'), '[{"kind": "text", "body": "x"}]', 5) $$, 'P0001',
  'conflict', 'A gap is refused');
select throws_ok($$ select app.append_chunks(tests.kept('a'), '[{"kind": "done", "body": {}}]') $$, 'P0001',
  'invalid_request', 'An answer does not end by a chunk');
select throws_ok($$ select app.append_chunks(tests.kept('a'), '[{"kind": "text"}]') $$, 'P0001', 'invalid_request',
  'A chunk has a body');
select throws_ok($$ select app.append_chunks(tests.kept('a'), '{}') $$, 'P0001', 'invalid_request',
  'Chunks are an array');
select throws_ok($$ select app.post_message(tests.kept('conversation'), tests.kept('a'), 'user', 'x') $$, 'P0001',
  'conflict', 'Nothing follows on an answer in progress');
select throws_ok($$ select app.fork_conversation(tests.kept('a')) $$, 'P0001', 'conflict', 'Nobody forks at it');
select tests.as_database_owner();
select throws_ok($$ insert into message_chunks values (tests.kept('a'), 9, 'text', '"x"') $$, 'P0001', 'conflict',
  'Not even the owner of the database leaves a gap');
select throws_ok($$ insert into message_chunks values (tests.kept('a'), 3, 'text', '"x"') $$, '23505', null,
  '… or stores a number twice');

-- The end -------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select throws_ok($$ select app.finish_answer(tests.kept('a'), 'in_progress') $$, 'P0001', 'invalid_request',
  'An end is an end');
select is(app.finish_answer(tests.kept('a'), 'complete', tool_calls => '[{"id": "1"}]'), 4::bigint,
  'An answer ends once');
select is(app.finish_answer(tests.kept('a'), 'complete'), 4::bigint, 'The same end again is no mistake');
select throws_ok($$ select app.finish_answer(tests.kept('a'), 'failed') $$, 'P0001', 'conflict', 'Another one is');
select throws_ok($$ select app.append_chunks(tests.kept('a'), '[{"kind": "text", "body": "x"}]') $$, 'P0001',
  'conflict', 'Nothing comes after it');
select results_eq($$ select content, reasoning, tool_calls, finished_at is not null
  from messages where id = tests.kept('a') $$, $$ values ('But', 'Hm.', '[{"id": "1"}]'::jsonb, true) $$,
  'The message has all of it');
select tests.as_database_owner();
select is_empty($$ select * from app.answers $$, 'Nothing is in progress');
select tests.as_user('ann');
select throws_ok($$ select app.begin_answer(tests.kept('question'), 'm', '') $$, 'P0001', 'invalid_request',
  'An answer has a runtime that writes it');
select throws_ok($$ select app.begin_answer(gen_random_uuid(), 'm', 'runtime-1') $$, 'P0001', 'not_found',
  'An answer answers something');

-- The runtime goes on without its user --------------------------------------------------------------------------------
select tests.keep('b', app.begin_answer(tests.kept('question'), 'm', 'runtime-1'));
select tests.as_database_owner();
update profiles set suspended_at = now() where email = 'ann@example.org';
select tests.as_user('ann');
select throws_ok($$ select app.append_chunks(tests.kept('b'), '[{"kind": "text", "body": "x"}]') $$, 'P0001',
  'account_suspended', 'Nothing is written in the name of the suspended');
select tests.as_service();
select is(app.append_chunks(tests.kept('b'), '[{"kind": "text", "body": "So f"}]'), 1::bigint,
  'The runtime itself may');
select lives_ok($$ select app.finish_answer(tests.kept('b'), 'stopped') $$, '… and ends what is left');
select throws_ok($$ select app.append_chunks(gen_random_uuid(), '[]') $$, 'P0001', 'not_found',
  'It writes no answer that is not there');
select is(tests.state('b'), 'stopped', 'The answer is stopped');
select tests.as_database_owner();
update profiles set suspended_at = null where email = 'ann@example.org';

-- Stopping ------------------------------------------------------------------------------------------------------------
select tests.as_user('will');
select tests.keep('c', app.begin_answer(tests.kept('question'), 'm', 'runtime-1'));
select tests.keep('d', app.begin_answer(tests.kept('question'), 'm', 'runtime-2'));
select throws_ok($$ select app.touch_answers('runtime-1', '{}') $$, '42501', null, 'Runtimes alone show signs of life');
select throws_ok($$ select app.interrupt_stale_answers('runtime-1') $$, '42501', null, '… and look after the dead');
select tests.as_service();
select is_empty($$ select app.touch_answers('runtime-1', '{}') $$, 'Nothing is to stop');
select tests.as_user('ann');
select ok(app.request_stop(tests.kept('c')), 'Any writer stops an answer');
select ok(app.request_stop(tests.kept('c')), '… also twice');
select ok(not app.request_stop(tests.kept('answer')), 'What has ended does not stop');
select tests.as_service();
select results_eq($$ select app.touch_answers('runtime-1', '{}') $$, $$ select tests.kept('c') $$,
  'Its runtime learns of it');
select is_empty($$ select app.touch_answers('runtime-2', '{}') $$, '… and no other one');
select tests.as_user('ann');
select app.delete_message(tests.kept('d'));
select tests.as_service();
select results_eq($$ select app.touch_answers('runtime-2', '{}') $$, $$ select tests.kept('d') $$,
  'A deleted answer is to stop as well');

-- After a crash -------------------------------------------------------------------------------------------------------
select app.append_chunks(tests.kept('c'), '[{"kind": "text", "body": "So far"}, {"kind": "reasoning", "body": "Hm"}]');
select is_empty($$ select app.interrupt_stale_answers('runtime-3') $$, 'Who lives is not interrupted');
select results_eq($$ select app.interrupt_stale_answers('runtime-1') $$, $$ select tests.kept('c') $$,
  'A runtime that starts again interrupts what it left behind');
select is(tests.state('d'), 'in_progress', '… and no other''s');
select tests.as_database_owner();
select results_eq($$ select state, content, reasoning, error ->> 'code' from messages where id = tests.kept('c') $$,
  $$ values ('interrupted', 'So far', 'Hm', 'engine_gone') $$, 'The answer so far is there');
select results_eq($$ select seq, body ->> 'state' from message_chunks
  where message_id = tests.kept('c') and kind = 'done' $$, $$ values (3::bigint, 'interrupted') $$,
  'Whoever follows the stream learns how it ended');
update app.answers set heartbeat_at = now() - interval '61 seconds';
select tests.as_service();
select results_eq($$ select app.interrupt_stale_answers('runtime-3') $$, $$ select tests.kept('d') $$,
  'A runtime that shows no sign of life is taken for dead');
select throws_ok($$ select app.finish_answer(tests.kept('d'), 'complete') $$, 'P0001', 'conflict',
  '… and learns so when it comes back');
select tests.as_user('will');
select lives_ok($$ select app.begin_answer(tests.kept('c'), 'm', 'runtime-1') $$,
  'An interrupted answer can be followed on');

-- Pruning -------------------------------------------------------------------------------------------------------------
select tests.as_service();
select is(app.prune_chunks(), 0, 'Chunks of today stay');
select is(app.prune_chunks(interval '-1 minute'), 8, 'Old ones go, but for the last of each answer');
select is(app.prune_chunks(interval '-1 minute'), 0, '… once');
select tests.as_user('will');
select is((select content from messages where id = tests.kept('answer')), 'Rooks do.', 'The messages have it all');

select * from finish();
rollback;
