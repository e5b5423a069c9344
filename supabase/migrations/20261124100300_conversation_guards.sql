-- What no statement may do to a message, whoever sends it, and who hears of what was done.

-- True while rows are erased on purpose: with their conversation or their account.
create function app.is_purging() returns boolean language sql stable set search_path = '' as $$
  select coalesce(current_setting('rookery.purging', true), '') = 'on'
$$;

-- What was said stays as it was said. Placement and marks may change; an answer is written once, when it ends.
create function app.guard_message() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if (new.id, new.conversation_id, new.depth, new.message_type, new.created_at)
      is distinct from (old.id, old.conversation_id, old.depth, old.message_type, old.created_at)
    or new.parent_id is distinct from old.parent_id
    or new.tool_call_id is distinct from old.tool_call_id
    -- The account of an author may be erased; what was said to others stays.
    or (new.author_id is distinct from old.author_id and new.author_id is not null)
  then
    perform app.fail('forbidden', 'Cannot change a message: post another one beside it');
  end if;
  if old.state <> 'in_progress' and (
    (new.state, new.content, new.finished_at) is distinct from (old.state, old.content, old.finished_at)
    or new.reasoning is distinct from old.reasoning
    or new.tool_calls is distinct from old.tool_calls
    or new.model is distinct from old.model
    or new.usage is distinct from old.usage
    or new.error is distinct from old.error
  ) then
    perform app.fail('forbidden', 'Cannot change a finished message: post another one beside it');
  end if;
  return new;
end
$$;
create trigger messages_guard before update on public.messages
  for each row execute function app.guard_message();

-- A message follows on one of its own conversation, one step deeper.
create function app.guard_parent() returns trigger language plpgsql security definer
set search_path = '' set enable_seqscan = off as $$
declare
  parent public.messages;
begin
  select * into parent from public.messages where id = new.parent_id;
  if parent.conversation_id is distinct from new.conversation_id or new.depth <> parent.depth + 1 then
    perform app.fail('not_found', 'The conversation has no such message to follow on');
  end if;
  return null;
end
$$;
create trigger messages_guard_parent after insert on public.messages
  for each row when (new.parent_id is not null) execute function app.guard_parent();

create function app.guard_erasure() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if not app.is_purging() then
    perform app.fail('forbidden', format('Cannot erase from %s: mark as deleted, or purge the conversation',
      tg_table_name));
  end if;
  return old;
end
$$;
create trigger messages_stay before delete on public.messages
  for each row execute function app.guard_erasure();
create trigger messages_are_not_truncated before truncate on public.messages
  for each statement execute function app.refuse_change();

-- Chunks follow each other without a gap while their answer is in progress, and never change.
create function app.guard_chunk() returns trigger language plpgsql security definer
set search_path = '' set enable_seqscan = off as $$
declare
  answer public.messages;
begin
  select * into answer from public.messages where id = new.message_id;
  if answer.state is distinct from 'in_progress' then
    perform app.fail('conflict', 'Cannot append to an answer that has ended');
  end if;
  if new.seq > 1 and not exists (
    select from public.message_chunks where message_id = new.message_id and seq = new.seq - 1
  ) then
    perform app.fail('conflict', format('Cannot append chunk %s before chunk %s', new.seq, new.seq - 1));
  end if;
  return new;
end
$$;
create trigger message_chunks_guard before insert on public.message_chunks
  for each row execute function app.guard_chunk();
create trigger message_chunks_are_append_only before update on public.message_chunks
  for each row execute function app.refuse_change();
create trigger message_chunks_stay before delete on public.message_chunks
  for each row execute function app.guard_erasure();

-- An account takes its conversations with it, by whatever path it is deleted (also by Supabase's dashboard).
create function app.purge_account() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform set_config('rookery.purging', 'on', true);
  delete from public.conversations where owner_id = old.id;
  perform set_config('rookery.purging', '', true);
  return old;
end
$$;
create trigger profiles_purge before delete on public.profiles
  for each row execute function app.purge_account();

-- Notifications: names of what changed, never what it says. Postgres sends them after the commit. ---------------------

create function app.notify_chunks() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform pg_notify('rookery_messages', json_build_object('message', message_id, 'seq', max(seq))::text)
  from added group by message_id;
  return null;
end
$$;
create trigger message_chunks_notify after insert on public.message_chunks
  referencing new table as added for each statement execute function app.notify_chunks();

create function app.notify_end() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform pg_notify(
    'rookery_messages',
    json_build_object(
      'message', new.id,
      'seq', coalesce((select max(seq) from public.message_chunks where message_id = new.id), 0),
      'state', new.state
    )::text
  );
  return null;
end
$$;
create trigger messages_notify_end after update of state on public.messages
  for each row when (old.state = 'in_progress' and new.state <> 'in_progress') execute function app.notify_end();

create function app.notify_conversation(conversation uuid, change text) returns void
language sql security definer set search_path = '' as $$
  select pg_notify('rookery_conversations', json_build_object('conversation', conversation, 'change', change)::text)
$$;

-- A statement that touches 10,000 messages tells of each conversation once. The trigger's argument names the change.
create function app.notify_new_rows() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform app.notify_conversation(conversation_id, tg_argv[0]) from changed group by conversation_id;
  return null;
end
$$;
create trigger messages_notify_insert after insert on public.messages
  referencing new table as changed for each statement execute function app.notify_new_rows('messages');
create trigger messages_notify_update after update on public.messages
  referencing new table as changed for each statement execute function app.notify_new_rows('messages');
create trigger threads_notify_insert after insert on public.threads
  referencing new table as changed for each statement execute function app.notify_new_rows('threads');
create trigger threads_notify_update after update on public.threads
  referencing new table as changed for each statement execute function app.notify_new_rows('threads');
create trigger threads_notify_delete after delete on public.threads
  referencing old table as changed for each statement execute function app.notify_new_rows('threads');
create trigger members_notify_insert after insert on public.conversation_members
  referencing new table as changed for each statement execute function app.notify_new_rows('members');
create trigger members_notify_delete after delete on public.conversation_members
  referencing old table as changed for each statement execute function app.notify_new_rows('members');

-- A member's right, or merely the branch that it looks at.
create function app.notify_member() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform app.notify_conversation(new.conversation_id,
    case when new.role is distinct from old.role then 'members' else 'branch' end);
  return null;
end
$$;
create trigger members_notify_update after update on public.conversation_members
  for each row execute function app.notify_member();

create function app.notify_stop() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform pg_notify('rookery_stops', json_build_object('message', new.message_id)::text);
  return null;
end
$$;
create trigger answers_notify_stop after update on app.answers
  for each row when (old.stop_requested_at is null and new.stop_requested_at is not null)
  execute function app.notify_stop();

create function app.notify_conversation_row() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform app.notify_conversation(old.id, case when tg_op = 'DELETE' then 'purged' else 'conversation' end);
  return null;
end
$$;
create trigger conversations_notify after update or delete on public.conversations
  for each row execute function app.notify_conversation_row();

-- updated_at is the time of the last activity: pinning and archiving do not move a conversation in the list.
create function app.touch_conversation() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end
$$;
create trigger conversations_touch before update of title, model on public.conversations
  for each row when (old.title is distinct from new.title or old.model is distinct from new.model)
  execute function app.touch_conversation();

revoke execute on function app.is_purging(), app.guard_message(), app.guard_parent(), app.guard_erasure(),
  app.guard_chunk(),
  app.purge_account(), app.notify_chunks(), app.notify_end(), app.notify_conversation(uuid, text),
  app.notify_new_rows(), app.notify_member(), app.notify_stop(), app.notify_conversation_row(), app.touch_conversation()
  from public, anon, authenticated, service_role;
