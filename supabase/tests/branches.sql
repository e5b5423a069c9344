-- The tree: paths across threads, moving, forking, importing; deep and wide ones too.
begin;
set local search_path = public, extensions;
select plan(50);
select tests.make_people();
select tests.make_conversation();

-- a → b → c, and b → d; named by their content.
create function tests.post(parent text, content text, thread text default null) returns void language sql as $$
  select tests.keep(content, app.post_message(
    tests.kept('conversation'), case when parent <> '' then tests.kept(parent) end, 'user', content, thread))
$$;
create function tests.path(leaf text) returns text language sql stable as $$
  select string_agg(content, ' ' order by position)
  from app.message_path(tests.kept(leaf)) with ordinality as path (
    id, conversation_id, thread_id, parent_id, depth, message_type, content, reasoning, tool_calls, tool_call_id, state,
    model, usage, error, author_id, created_at, finished_at, deleted_at, position)
$$;
-- Which messages are in which thread.
create function tests.threads() returns setof text language sql stable as $$
  select thread.name || ': ' || string_agg(message.content, ' ' order by message.id)
  from threads thread join messages message on message.thread_id = thread.id
  where thread.conversation_id = tests.kept('conversation') and message.id >= tests.kept('a')
  group by thread.id, thread.name order by 1
$$;
create function tests.thread_of(name text) returns uuid language sql stable as $$
  select thread_id from messages where id = tests.kept(name)
$$;
select tests.as_user('ann');
select tests.post('', 'a'), tests.post('a', 'b'), tests.post('b', 'c', 'Owls'), tests.post('b', 'd'),
  tests.post('c', 'e'), tests.post('e', 'f', 'Barn owls'), tests.post('e', 'g'), tests.post('d', 'h');

-- Paths ---------------------------------------------------------------------------------------------------------------
select is(tests.path('f'), 'a b c e f', 'A path leads from the root to the leaf, across threads');
select is(tests.path('h'), 'a b d h', 'Nothing of another branch is in it');
select is(tests.path('a'), 'a', 'A beginning is its own path');
select throws_ok($$ select app.message_path(gen_random_uuid()) $$, 'P0001', 'not_found', 'No message has no path');
select results_eq('select tests.threads()', $$ values ('Barn owls: f'), ('Birds of the marsh: a b d h'), ('Owls: c e g') $$,
  'A thread is the subtree of its root without the threads in it');

-- Moving --------------------------------------------------------------------------------------------------------------
select tests.keep('ducks', app.move_subtree(tests.kept('d'), null, 'Ducks'));
select results_eq('select tests.threads()', $$ values ('Barn owls: f'), ('Birds of the marsh: a b'), ('Ducks: d h'),
  ('Owls: c e g') $$, 'A subtree becomes a thread');
select is((select root_message_id from threads where id = tests.kept('ducks')), tests.kept('d'), '… with its root');
select is(tests.path('h'), 'a b d h', '… and its links stay');
select is(app.move_subtree(tests.kept('e'), tests.kept('ducks')), tests.kept('ducks'),
  'A subtree moves to a thread that there is');
select results_eq('select tests.threads()', $$ values ('Barn owls: f'), ('Birds of the marsh: a b'), ('Ducks: d e g h'),
  ('Owls: c') $$, '… but for the threads in it, in the order of time');
select is(tests.path('f'), 'a b c e f', '… and the links stay');
select app.move_subtree(tests.kept('c'), tests.kept('ducks'));
select results_eq('select tests.threads()', $$ values ('Barn owls: f'), ('Birds of the marsh: a b'),
  ('Ducks: c d e g h') $$, 'All of a thread moves');
select is_empty($$ select name from threads where name = 'Owls' $$, 'A thread that is left without messages goes');
select app.move_subtree(tests.kept('d'), tests.kept('thread'));
select is((select root_message_id from threads where id = tests.kept('ducks')), tests.kept('c'),
  'A thread that lost its root begins at what is left');
select throws_ok($$ select app.move_subtree(tests.kept('b'), tests.thread_of('f')) $$, 'P0001', 'conflict',
  'No message moves into a thread that begins below it');
select throws_ok($$ select app.move_subtree(tests.kept('e'), tests.thread_of('f')) $$, 'P0001', 'conflict',
  '… not even its parent');
select is(app.move_subtree(tests.kept('d'), tests.kept('thread')), tests.kept('thread'),
  'Moving to where it is does nothing');
select throws_ok($$ select app.move_subtree(tests.kept('d'), gen_random_uuid()) $$, 'P0001', 'not_found',
  'A thread that is not there is refused');
select throws_ok($$ select app.move_subtree(tests.kept('d')) $$, 'P0001', 'invalid_request', 'A new thread has a name');
select throws_ok($$ select app.move_subtree(tests.kept('d'),
  (select thread_id from app.create_conversation('Another'))) $$, 'P0001', 'not_found',
  'No message moves to another conversation');
set constraints all immediate;
set constraints all deferred;

-- Forking -------------------------------------------------------------------------------------------------------------
select tests.as_user('rita');
select tests.keep('fork', fork.conversation_id), tests.keep('fork_thread', fork.thread_id),
  tests.keep('fork_leaf', fork.leaf_id) from app.fork_conversation(tests.kept('f'), 'Rita''s') fork;
select is(tests.path('fork_leaf'), 'a b c e f', 'A reader forks a branch');
select is((select count(*) from messages where conversation_id = tests.kept('fork')), 5::bigint,
  '… and nothing beside it');
select is_empty($$ select id from messages where conversation_id = tests.kept('fork')
  intersect select id from messages where conversation_id = tests.kept('conversation') $$, 'Its messages are new');
select results_eq($$ select title, owner_id, root_thread_id from conversations where id = tests.kept('fork') $$,
  $$ select 'Rita''s', tests.id('rita'), tests.kept('fork_thread') $$, 'It is the reader''s own');
select results_eq($$ select thread.name, root.content from threads thread
  left join messages root on root.id = thread.root_message_id
  where thread.conversation_id = tests.kept('fork') order by 1 $$,
  $$ values ('Barn owls', 'f'), ('Ducks', 'c'), ('Rita''s', null) $$, 'Its threads are copied with it');
select is((select array_agg(content order by id) from messages where conversation_id = tests.kept('fork')),
  '{a,b,c,e,f}', 'Its order stays');
select is((select author_id from messages where id = tests.kept('fork_leaf')), tests.id('ann'),
  'Who said it said it');
select tests.as_user('ann');
select is_empty($$ select * from messages where conversation_id = tests.kept('fork') $$,
  'Nobody of the old conversation is in the new one');
select app.delete_message(tests.kept('f'));
select throws_ok($$ select app.fork_conversation(tests.kept('f')) $$, 'P0001', 'conflict',
  'Nobody forks at what is deleted');

-- Importing -----------------------------------------------------------------------------------------------------------
select tests.keep('copy', (select conversation_id from app.create_conversation('Copy')));
select results_eq($$ select outside_id from app.import_messages(tests.kept('copy'), '[
  {"id": "1", "message_type": "user", "content": "Hello", "created_at": "2024-05-01T10:00:00Z"},
  {"id": "2", "parent_id": "1", "message_type": "assistant", "content": "Hi", "state": "stopped", "model": "m",
    "usage": {"promptTokens": 1}, "reasoning": null},
  {"id": "3", "parent_id": "1", "message_type": "assistant", "content": "He", "state": "in_progress"},
  {"id": "4", "parent_id": "2", "message_type": "user", "content": "Bye", "thread_id": "t"}
]', '[{"id": "t", "name": "Farewell", "root_message_id": "4"}]') $$, $$ values ('1'), ('2'), ('3'), ('4') $$,
  'A conversation comes in');
select results_eq($$ select message.content, parent.content, message.depth, message.state, thread.name
  from messages message join threads thread on thread.id = message.thread_id
  left join messages parent on parent.id = message.parent_id
  where message.conversation_id = tests.kept('copy') order by message.id $$, $$ values
  ('Hello', null, 0, 'complete', 'Copy'), ('Hi', 'Hello', 1, 'stopped', 'Copy'), ('He', 'Hello', 1, 'interrupted', 'Copy'),
  ('Bye', 'Hi', 2, 'complete', 'Farewell') $$, 'Links, order, states and threads are kept');
select is((select created_at from messages where conversation_id = tests.kept('copy') and content = 'Hello'),
  '2024-05-01T10:00:00Z', '… and times');
select throws_ok($$ select app.import_messages(tests.kept('copy'), '[]') $$, 'P0001', 'conflict',
  'Nothing is imported over what is there');
select tests.keep('empty', (select conversation_id from app.create_conversation('Empty')));
select throws_ok(format('select app.import_messages(tests.kept(%L), %L)', 'empty', bad), 'P0001', 'invalid_request', why)
from (values
  ('[{"id": "1", "parent_id": "2", "message_type": "user"}, {"id": "2", "message_type": "user"}]',
    'A child before its parent is refused'),
  ('[{"id": "1", "parent_id": "1", "message_type": "user"}]', 'A message that follows on itself is refused'),
  ('[{"id": "1", "parent_id": "9", "message_type": "user"}]', 'A parent that is not there is refused'),
  ('[{"id": "1", "message_type": "user"}, {"id": "1", "message_type": "user"}]', 'The same id twice is refused'),
  ('[{"message_type": "user"}]', 'No id is refused'),
  ('[{"id": "1", "message_type": "poem"}]', 'An unknown type is refused'),
  ('[{"id": "1", "message_type": "user", "created_at": "yesterday, at noon"}]', 'A time that is none is refused'),
  ('{}', 'What is no array is refused')
) refused (bad, why);

-- Deep and wide -------------------------------------------------------------------------------------------------------
select tests.keep('big', (select conversation_id from app.create_conversation('Big')));
select is((select count(*) from app.import_messages(tests.kept('big'), (
  select jsonb_agg(jsonb_build_object('id', n::text, 'message_type', 'user', 'content', n::text,
    'parent_id', case when n between 2 and 10000 then (n - 1)::text when n > 10000 then '1' end) order by n)
  from generate_series(1, 11000) n
))), 11000::bigint, 'A deep and wide conversation comes in');
select tests.keep('deep', (select id from messages where content = '10000' and conversation_id = tests.kept('big')));
select tests.keep('top', (select id from messages where content = '1' and conversation_id = tests.kept('big')));
select is((select count(*) from app.message_path(tests.kept('deep'))), 10000::bigint, 'A path of 10,000 is found');
select is((select depth from messages where id = tests.kept('deep')), 9999, '… which says how deep it is');
select is((select count(*) from messages where conversation_id = tests.kept('big') and parent_id = tests.kept('top')),
  1001::bigint, 'As are a thousand children');
select lives_ok($$ select app.move_subtree(tests.kept('top'), null, 'All of it') $$, 'All of it moves');
select is(app.delete_message(tests.kept('top')), 11000, 'All of it is marked as deleted');
select is(app.undelete_message(tests.kept('top')), 11000, '… and comes back');
select lives_ok($$ select app.fork_conversation(tests.kept('deep')) $$, 'A path of 10,000 is forked');
select is((select max(depth) from messages where conversation_id <> tests.kept('big')), 9999, '… with all its links');

select * from finish();
rollback;
