-- Who sees and changes a conversation: its owner, writers and readers, an account that may only read, the suspended,
-- and everybody else.
begin;
set local search_path = public, extensions;
select plan(108);
select tests.make_people();
select tests.make_conversation();

-- Rows of one conversation that the person of the moment sees, in every table.
create function tests.count_visible() returns bigint[] language sql as $$
  select array[
    (select count(*) from conversations), (select count(*) from conversation_members),
    (select count(*) from threads), (select count(*) from messages), (select count(*) from message_chunks)
  ]
$$;

-- Everything that writes, refused with a code.
create function tests.refuses_writing(person text, code text) returns setof text language plpgsql as $$
declare
  request text;
begin
  foreach request in array array[
    $r$ select app.post_message(tests.kept('conversation'), tests.kept('answer'), 'user', 'x') $r$,
    $r$ select app.begin_answer(tests.kept('question'), 'm', 'runtime-1') $r$,
    $r$ select app.append_chunks(tests.kept('answer'), '[]') $r$,
    $r$ select app.finish_answer(tests.kept('answer'), 'stopped') $r$,
    $r$ select app.request_stop(tests.kept('answer')) $r$,
    $r$ select app.delete_message(tests.kept('answer')) $r$,
    $r$ select app.undelete_message(tests.kept('answer')) $r$,
    $r$ select app.move_subtree(tests.kept('answer'), null, 'x') $r$,
    $r$ select app.share(tests.kept('conversation'), 'eve@example.org', 'writer') $r$,
    $r$ select app.unshare(tests.kept('conversation'), tests.id('will')) $r$,
    $r$ select app.import_messages(tests.kept('conversation'), '[]') $r$,
    $r$ select app.delete_conversation(tests.kept('conversation')) $r$,
    $r$ select app.undelete_conversation(tests.kept('conversation')) $r$,
    $r$ select app.purge_conversation(tests.kept('conversation')) $r$
  ] loop
    return next throws_ok(request, 'P0001', code, person || ' cannot' || request);
  end loop;
end
$$;

-- Everything that reads by procedure.
create function tests.refuses_reading(person text, code text) returns setof text language plpgsql as $$
declare
  request text;
begin
  foreach request in array array[
    $r$ select app.message_path(tests.kept('answer')) $r$,
    $r$ select app.fork_conversation(tests.kept('answer')) $r$,
    $r$ select app.list_members(tests.kept('conversation')) $r$
  ] loop
    return next throws_ok(request, 'P0001', code, person || ' cannot' || request);
  end loop;
end
$$;

-- How many rows of conversations and of members the person of the moment can update.
create function tests.count_updated() returns bigint[] language plpgsql as $$
declare
  counts bigint[] := '{}';
  updated bigint;
begin
  update conversations set title = 'Marsh birds', pinned_at = now();
  get diagnostics updated = row_count;
  counts := counts || updated;
  update conversation_members set leaf_id = tests.kept('question');
  get diagnostics updated = row_count;
  return counts || updated;
end
$$;

-- Seeing --------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select is(tests.count_visible(), '{1, 5, 1, 2, 3}', 'The owner sees all of it');
select tests.as_user('will');
select is(tests.count_visible(), '{1, 5, 1, 2, 3}', 'A writer does');
select tests.as_user('rita');
select is(tests.count_visible(), '{1, 5, 1, 2, 3}', 'A reader does');
select tests.as_user('rose');
select is(tests.count_visible(), '{1, 5, 1, 2, 3}', 'An account that may only read does');
select tests.as_user('eve');
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', 'Who is no member sees nothing');
select tests.as_user('alice');
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', 'An administrator who is no member sees nothing');
select tests.as_user('sam');
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', 'The suspended see nothing');
select tests.as_nobody();
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', 'Nobody sees nothing');
select tests.as_anonymous();
select throws_ok('select tests.count_visible()', '42501', null, 'Who has not signed in cannot even ask');

-- Writing -------------------------------------------------------------------------------------------------------------
select tests.as_user('rita');
select tests.refuses_writing('rita, a reader,', 'forbidden');
select tests.as_user('rose');
select tests.refuses_writing('rose, whose account may only read,', 'forbidden');
select throws_ok($$ select app.fork_conversation(tests.kept('answer')) $$, 'P0001', 'forbidden',
  'Rose cannot copy what she reads');
select throws_ok($$ select app.create_conversation('x') $$, 'P0001', 'forbidden', 'Rose has no conversation of her own');
select tests.as_user('eve');
select tests.refuses_writing('eve, no member,', 'not_found');
select tests.refuses_reading('eve, no member,', 'not_found');
select tests.as_user('sam');
select tests.refuses_writing('sam, who is suspended,', 'account_suspended');
select tests.refuses_reading('sam, who is suspended,', 'account_suspended');

-- Columns that may be updated -----------------------------------------------------------------------------------------
select tests.as_user('eve');
select is(tests.count_updated(), '{0, 0}', 'Who is no member updates nothing');
select tests.as_user('rose');
select is(tests.count_updated(), '{0, 0}', 'An account that may only read updates nothing');
select tests.as_user('ann', '{"app_role": "read_only"}');
select is(tests.count_updated(), '{0, 0}', 'A key that may only read updates nothing');
select tests.as_user('sam');
select is(tests.count_updated(), '{0, 0}', 'The suspended update nothing');
select tests.as_user('rita');
select is(tests.count_updated(), '{0, 1}', 'A reader chooses a branch, and nothing else');
select tests.as_user('will');
select is(tests.count_updated(), '{1, 1}', 'A writer renames and pins, and chooses a branch');
select tests.as_user('ann');
select is(tests.count_updated(), '{1, 1}', 'The owner does');
select throws_ok($$ update conversations set owner_id = tests.id('eve') $$, '42501', null, 'Nobody gives it away');
select throws_ok($$ update conversation_members set role = 'owner' $$, '42501', null, 'Nobody raises a role');
select throws_ok($$ update messages set content = 'x' $$, '42501', null, 'Nobody updates a message');
select throws_ok($$ insert into messages select * from messages $$, '42501', null, 'Nobody inserts a message');
select throws_ok('delete from messages', '42501', null, 'Nobody deletes a message');
select throws_ok('delete from conversations', '42501', null, 'Nobody deletes a conversation row');
select throws_ok($$ update conversation_members set leaf_id = gen_random_uuid() where user_id = tests.id('ann') $$,
  '23503', null, 'A branch ends in a message of the conversation');

-- Members -------------------------------------------------------------------------------------------------------------
select results_eq($$ select display_name, role from app.list_members(tests.kept('conversation')) order by 1 $$, $$ values
  ('Ann', 'owner'), ('Rita', 'reader'), ('Rose', 'writer'), ('Sam', 'writer'), ('Will', 'writer') $$,
  'Members know each other by name');
select is(app.share(tests.kept('conversation'), 'Will@Example.org', 'reader'), tests.id('will'),
  'Sharing again changes the role');
select tests.as_user('will');
select throws_ok($$ select app.post_message(tests.kept('conversation'), null, 'user', 'x') $$, 'P0001', 'forbidden',
  '… from the next statement on');
select lives_ok($$ select app.unshare(tests.kept('conversation'), tests.id('will')) $$, 'A member leaves');
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', '… and sees nothing any more');
select tests.as_user('ann');
select throws_ok($$ select app.share(tests.kept('conversation'), 'nobody@example.org', 'reader') $$, 'P0001',
  'not_found', 'It is shared with accounts alone');
select throws_ok($$ select app.share(tests.kept('conversation'), 'eve@example.org', 'owner') $$, 'P0001',
  'invalid_request', 'It has one owner');
select throws_ok($$ select app.share(tests.kept('conversation'), 'ann@example.org', 'reader') $$, 'P0001', 'conflict',
  'The owner does not become less');
select throws_ok($$ select app.unshare(tests.kept('conversation'), tests.id('ann')) $$, 'P0001', 'conflict',
  'The owner does not leave');
select throws_ok($$ select app.unshare(tests.kept('conversation'), tests.id('eve')) $$, 'P0001', 'not_found',
  'Who is no member cannot be taken out');
select lives_ok($$ select app.unshare(tests.kept('conversation'), tests.id('rita')) $$, 'The owner takes others out');

-- Deletion ------------------------------------------------------------------------------------------------------------
select app.share(tests.kept('conversation'), 'will@example.org', 'writer');
select app.delete_conversation(tests.kept('conversation'));
select is((tests.count_visible())[1], 1::bigint, 'Its owner sees what is deleted');
select throws_ok($$ select app.post_message(tests.kept('conversation'), null, 'user', 'x') $$, 'P0001', 'forbidden',
  '… and writes nothing in it');
select tests.as_user('will');
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', 'Others do not see it');
select tests.as_user('ann');
select app.undelete_conversation(tests.kept('conversation'));
select tests.as_user('will');
select is((tests.count_visible())[1], 1::bigint, 'Undo brings it back to all');
select throws_ok($$ select app.purge_deleted() $$, '42501', null, 'People purge nothing of others');
select tests.as_user('ann');
select tests.keep('other', (select conversation_id from app.create_conversation('Long gone')));
select app.delete_conversation(tests.kept('other'));
select tests.as_service();
select is_empty('select app.purge_deleted()', 'What was deleted a moment ago stays');
select results_eq($$ select app.purge_deleted(interval '0') $$, $$ select tests.kept('other') where false $$,
  'In one transaction no time passes');
select tests.as_database_owner();
update conversations set deleted_at = now() - interval '31 days' where id = tests.kept('other');
select tests.as_service();
select results_eq('select app.purge_deleted()', $$ select tests.kept('other') $$,
  'What was deleted long ago is erased, and named');
select tests.as_user('ann');
select lives_ok($$ select app.purge_conversation(tests.kept('conversation')) $$, 'The owner erases at once');
select tests.as_database_owner();
select is(tests.count_visible(), '{0, 0, 0, 0, 0}', 'Nothing is left of it');

select * from finish();
rollback;
