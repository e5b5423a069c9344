-- What every table and every procedure must have, also those that are added later.
begin;
set local search_path = public, extensions;
select plan(12);

select is_empty($$
  select oid::regclass from pg_class
  where relnamespace in ('public'::regnamespace, 'app'::regnamespace) and relkind in ('r', 'p') and not relrowsecurity
$$, 'Every table has row level security');

select is_empty($$
  select c.oid::regclass from pg_class c
  where relnamespace in ('public'::regnamespace, 'app'::regnamespace) and relkind in ('r', 'p')
    and not exists (select from pg_policy where polrelid = c.oid)
$$, 'Every table has a policy, and be it that nobody may');

select is_empty($$
  select policyname, tablename from pg_policies
  where schemaname in ('public', 'app')
    and concat(qual, with_check) ~ ('\m(from|join)\s+(public\.|app\.)?' || tablename || '\M')
$$, 'No policy looks into its own table');

select is_empty($$
  select oid::regprocedure from pg_proc
  where pronamespace = 'app'::regnamespace and not coalesce(proconfig, '{}') @> array['search_path=""']
$$, 'Every function has an empty search_path');

select is_empty($$
  select oid::regprocedure from pg_proc
  where pronamespace = 'app'::regnamespace and not prosecdef
    and (has_function_privilege('anon', oid, 'execute') or has_function_privilege('authenticated', oid, 'execute')
      or has_function_privilege('service_role', oid, 'execute'))
$$, 'Every function that a role may call is SECURITY DEFINER');

select results_eq($$
  select role || ': ' || string_agg(proname::text collate "default", ' ' order by proname)
  from unnest(array['anon', 'authenticated', 'service_role']) role, pg_proc
  where pronamespace = 'app'::regnamespace and has_function_privilege(role, pg_proc.oid, 'execute')
  group by role order by role
$$, $$ values
  ('anon: begin_session create_user create_user_from_identity end_session find_account find_api_key find_identity '
    'find_login record_event refresh_session renew_password_hash request_reset sign_up_policy use_reset_token '
    'validate_session'),
  ('authenticated: append_chunks begin_answer can_write change_password create_api_key create_conversation '
    'create_invitation create_reset_token current_user_id delete_account delete_conversation delete_message '
    'delete_user finish_answer fork_conversation import_messages is_admin is_member is_reader_of_message '
    'link_identity list_all_api_keys list_all_sessions list_api_keys list_chunks list_conversations list_identities '
    'list_invitations list_members list_messages list_sessions list_settings list_users message_path move_subtree '
    'post_message purge_conversation read_audit record_event record_export request_stop revoke_api_key '
    'revoke_invitation revoke_other_sessions revoke_session set_role set_setting share sign_out sign_up_policy suspend '
    'undelete_conversation undelete_message unlink_identity unshare unsuspend'),
  ('service_role: append_chunks create_first_admin_token finish_answer interrupt_stale_answers prune_chunks '
    'purge_deleted purge_expired touch_answers')
$$, 'Each role may call exactly what it needs');

select is_empty($$
  select role, relname, privilege
  from unnest(array['anon', 'service_role']) role, pg_class c,
    unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
  where relnamespace in ('public'::regnamespace, 'app'::regnamespace) and relkind in ('r', 'p', 'v', 'm')
    and has_table_privilege(role, c.oid, privilege)
$$, 'Nobody reads or writes a table without having signed in');

select results_eq($$
  select relname::text collate "default", privilege
  from pg_class c, unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
  where relnamespace in ('public'::regnamespace, 'app'::regnamespace) and relkind in ('r', 'p', 'v', 'm')
    and has_table_privilege('authenticated', c.oid, privilege)
  order by relname, privilege
$$, $$ values
  ('conversation_members', 'select'), ('conversations', 'select'), ('message_chunks', 'select'),
  ('messages', 'select'), ('profiles', 'select'), ('threads', 'select')
$$, 'Who has signed in may select from the public tables, and nothing else');

select results_eq($$
  select (table_name || '.' || column_name)::text collate "default" from information_schema.column_privileges
  where grantee = 'authenticated' and privilege_type = 'UPDATE' and table_schema in ('public', 'app')
  order by table_name, column_name
$$, $$ values
  ('conversation_members.leaf_id'), ('conversations.archived_at'), ('conversations.model'),
  ('conversations.pinned_at'), ('conversations.title'), ('profiles.display_name')
$$, 'Few columns can be updated without a procedure');

select is_empty($$
  select conrelid::regclass, conname from pg_constraint c
  where contype = 'f' and connamespace in ('public'::regnamespace, 'app'::regnamespace)
    and not exists (
      select from pg_index i
      where i.indrelid = c.conrelid
        and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
    )
$$, 'Every foreign key has an index');

select is(substring(app.uuid_v7()::text from 15 for 1), '7', 'Ids are UUIDs of version 7');
select is(
  (select count(*) from (
    select id, lag(id) over (order by n) as before from (
      select app.uuid_v7() as id, n from generate_series(1, 5000) n
    ) made
  ) pairs where id <= before),
  0::bigint, 'Ids sort in the order in which they were made, also within a millisecond'
);

select * from finish();
rollback;
