-- The list of conversations: order, pages, filters, search, and that nobody finds what is not theirs.
begin;
set local search_path = public, extensions;
select plan(24);
select tests.make_people();
select tests.make_conversation();

create function tests.make(name text, title text, text_of_message text) returns void language plpgsql as $$
begin
  perform tests.keep(name, (select conversation_id from app.create_conversation(title)));
  perform app.post_message(tests.kept(name), null, 'user', text_of_message);
end
$$;
create function tests.titles(search text default null) returns text language sql stable as $$
  select string_agg(title, ', ' order by position) from app.list_conversations(search => search) with ordinality as found (
    id, owner_id, role, title, model, root_thread_id, leaf_id, archived_at, pinned_at, deleted_at, created_at,
    updated_at, found_message_id, snippet, position)
$$;
select tests.as_user('ann');
select tests.make('first', 'Shopping', 'Milk and a 100% rye bread');
select tests.make('second', 'Über Vögel', 'Was frisst der Eisvogel?');
select tests.make('third', 'Under_scored', 'Milk for the hedgehog');
select tests.as_user('eve');
select tests.make('eves', 'Secret birds', 'Milk of Eve');
select tests.as_database_owner();
-- One transaction has one time.
update conversations set updated_at = now() - case title when 'Shopping' then interval '1 hour'
  when 'Über Vögel' then interval '2 hours' when 'Under_scored' then interval '3 hours' else interval '4 hours' end;

select tests.as_user('ann');
select is(tests.titles(), 'Shopping, Über Vögel, Under_scored, Birds of the marsh', 'The latest activity comes first');
select tests.as_user('rita');
select results_eq('select title, role from app.list_conversations()', $$ values ('Birds of the marsh', 'reader') $$,
  'What is shared is in the list, with what one may do');
select tests.as_user('eve');
select is(tests.titles(), 'Secret birds', 'What is not, is not');
select tests.as_user('sam');
select throws_ok('select app.list_conversations()', 'P0001', 'account_suspended', 'The suspended have no list');
select tests.as_nobody();
select throws_ok('select app.list_conversations()', 'P0001', 'unauthorized', 'Nobody has none');

-- Pages ---------------------------------------------------------------------------------------------------------------
select tests.as_user('ann');
select results_eq($$
  with recursive pages (n, title, at, id) as (
    (select 1, title, updated_at, id from app.list_conversations(row_limit => 1))
    union all
    select n + 1, next.title, next.updated_at, next.id
    from pages, lateral (select * from app.list_conversations(before_at => at, before_id => pages.id, row_limit => 1)) next
  ) select title from pages order by n
$$, 'select title from app.list_conversations()', 'Pages follow each other, and miss and repeat nothing');
select tests.as_database_owner();
update conversations set updated_at = now();
select tests.as_user('ann');
select is((select count(distinct title) from (
    select title from app.list_conversations(row_limit => 2)
    union all
    select next.title from (select updated_at, id from app.list_conversations(row_limit => 2) offset 1) last,
      lateral app.list_conversations(before_at => last.updated_at, before_id => last.id) next
  ) both_pages), 4::bigint, '… also where all have one time');

-- Filters -------------------------------------------------------------------------------------------------------------
update conversations set archived_at = now() where title = 'Shopping';
update conversations set pinned_at = now() where title like '% Vögel';
select is((select string_agg(title, ', ') from app.list_conversations(archived => true)), 'Shopping', 'The archived');
select is((select count(*) from app.list_conversations(archived => false)), 3::bigint, 'The others');
select is((select string_agg(title, ', ') from app.list_conversations(pinned => true)), 'Über Vögel', 'The pinned');
select app.delete_conversation(tests.kept('first'));
select is((select count(*) from app.list_conversations()), 3::bigint, 'The deleted are not in the list');
select is((select string_agg(title, ', ') from app.list_conversations(deleted => true)), 'Shopping',
  '… but in one of their own');
select app.undelete_conversation(tests.kept('first'));
select app.delete_conversation(tests.kept('conversation'));
select tests.as_user('rita');
select is((select count(*) from app.list_conversations(deleted => true)), 0::bigint,
  '… which is their owner''s alone');
select tests.as_user('ann');
select app.undelete_conversation(tests.kept('conversation'));

-- Search --------------------------------------------------------------------------------------------------------------
select is(tests.titles('vögel'), 'Über Vögel', 'Titles are searched, in any case');
select is(tests.titles('scor'), 'Under_scored', '… also for a part of a word');
select is(tests.titles('_'), 'Under_scored', '… and for what SQL takes for a pattern');
select is((select array_agg(title order by title) from app.list_conversations('milk')), '{Shopping,Under_scored}',
  'Messages are searched, and nobody else''s');
select is(tests.titles('rye milk'), 'Shopping', 'All words are to be in one message');
select is(tests.titles('milk -rye'), 'Under_scored', '… and some not');
select is(tests.titles('"); drop table messages; --'), null, 'Nonsense finds nothing');
select is((select snippet from app.list_conversations('eisvogel')), 'Was frisst der Eisvogel?',
  'What was found is shown');
select is((select found_message_id from app.list_conversations('eisvogel')),
  (select id from messages where conversation_id = tests.kept('second')), '… and where it is');
select app.delete_message((select id from messages where conversation_id = tests.kept('second')));
select is(tests.titles('eisvogel'), null, 'What is deleted is not found');
select lives_ok($$ select app.post_message(tests.kept('second'), null, 'note',
  (select string_agg(n::text, ' ') from generate_series(1000000, 1200000) n)) $$,
  'A text of more words than an index can hold is kept nevertheless');

select * from finish();
rollback;
