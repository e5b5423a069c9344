-- What administrators see of the sessions, keys and invitations of everybody.
begin;
set local search_path = public, extensions;
select plan(15);
select tests.make_people();

create function tests.refuses_lists(person text) returns setof text language plpgsql as $$
declare
  request text;
begin
  foreach request in array array[
    $r$ select app.list_all_sessions() $r$,
    $r$ select app.list_all_api_keys() $r$,
    $r$ select app.list_invitations() $r$,
    $r$ select app.revoke_invitation(tests.hash('first')) $r$
  ] loop
    return next throws_ok(request, 'P0001', 'forbidden', person || ' cannot' || request);
  end loop;
end
$$;
select tests.as_user('ann');
select tests.refuses_lists('ann');
select tests.as_user('alice', '{"app_role": "user"}');
select tests.refuses_lists('A key of alice without the scope admin');

select tests.as_database_owner();
insert into app.sessions (id, user_id, created_at, expires_at, revoked_at)
select ('00000000-0000-4000-8000-00000000000' || n)::uuid, tests.id(case when n < 3 then 'ann' else 'will' end),
  now() - interval '1 hour' * (n / 2), now() + interval '1 day', case when n = 4 then now() end
from generate_series(1, 4) n;
insert into app.one_time_tokens (hash, kind, role, created_by, created_at, expires_at, used_at)
values
  (tests.hash('first'), 'invitation', 'user', tests.id('alice'), now() - interval '1 hour', now() + interval '1 day', null),
  (tests.hash('used'), 'invitation', 'user', tests.id('alice'), now(), now() + interval '1 day', now());

select tests.as_user('alice');
select is((select count(*) from app.list_all_sessions()), 3::bigint, 'Sessions that were revoked are not listed');
select is((select count(*) from app.list_all_sessions(tests.id('ann'))), 2::bigint, 'Those of one account are, alone');
select results_eq($$
  with one as (select * from app.list_all_sessions(row_limit => 2)),
    last as (select created_at, id from one order by created_at, id limit 1)
  select id from one union all select two.id from last, app.list_all_sessions(null, last.created_at, last.id) two
$$, 'select id from app.list_all_sessions()', 'Pages of sessions follow each other without a gap, also at one time');
select results_eq('select hash from app.list_invitations()', $$ values (tests.hash('used')), (tests.hash('first')) $$,
  'Invitations are listed, the youngest first');
select throws_ok($$ select app.revoke_invitation(tests.hash('used')) $$, 'P0001', 'not_found',
  'What was used cannot be taken back');
select lives_ok($$ select app.revoke_invitation(tests.hash('first')) $$, '… what was not can');
select is((select action from app.read_audit(row_limit => 1)), 'invitation_revoked', '… and that is noted');

select * from finish();
rollback;
