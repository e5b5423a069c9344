-- Conversations, their members and their messages. Each procedure that writes takes the conversation's row first, so
-- that posting, moving and deleting in one conversation come one after the other.
--
-- "enable_seqscan = off" keeps what they do on the indexes, the checks of foreign keys included. Plans are kept for a
-- session: one that was made while a table was small and without statistics would read all of it for every row.

create function app.create_conversation(title text, model text default null)
returns table (conversation_id uuid, thread_id uuid)
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_writer();
begin
  conversation_id := app.uuid_v7();
  thread_id := app.uuid_v7();
  insert into public.conversations (id, owner_id, title, model, root_thread_id)
  values (conversation_id, account, title, model, thread_id);
  insert into public.threads (id, conversation_id, name) values (thread_id, conversation_id, title);
  insert into public.conversation_members (conversation_id, user_id, role) values (conversation_id, account, 'owner');
  return next;
end
$$;

create function app.delete_conversation(conversation uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_member(conversation, 'owner');
begin
  update public.conversations set deleted_at = now() where id = conversation and deleted_at is null;
  if found then
    perform app.audit(account, 'conversation_deleted', conversation::text);
  end if;
end
$$;

create function app.undelete_conversation(conversation uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform app.require_member(conversation, 'owner');
  update public.conversations set deleted_at = null where id = conversation and deleted_at is not null;
end
$$;

-- Erases rows for good. Triggers refuse it outside of here and of the end of an account.
create function app.erase_conversations(doomed uuid[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform set_config('rookery.purging', 'on', true);
  delete from public.conversations where id = any (doomed);
  perform set_config('rookery.purging', '', true);
end
$$;

create function app.purge_conversation(conversation uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_member(conversation, 'owner');
begin
  perform app.erase_conversations(array[conversation]);
  perform app.audit(account, 'conversation_purged', conversation::text);
end
$$;

-- Erases what was deleted long ago, for the runtime's upkeep. Returns what it erased, so that files go as well.
create function app.purge_deleted(older_than interval default '30 days', at_most integer default 100)
returns setof uuid language plpgsql security definer set search_path = '' as $$
declare
  doomed uuid[] := array(
    select id from public.conversations where deleted_at < now() - older_than
    order by deleted_at limit at_most for update skip locked
  );
begin
  perform app.erase_conversations(doomed);
  return query select unnest(doomed);
end
$$;

-- Members ------------------------------------------------------------------------------------------------------------

-- Shares with the account of the address, or changes what it may do.
create function app.share(conversation uuid, email text, role text) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_member(conversation, 'owner');
  guest uuid;
begin
  if share.role not in ('writer', 'reader') then
    perform app.fail('invalid_request', 'Cannot share with this role: there are writer and reader');
  end if;
  guest := (select profile.id from public.profiles profile where profile.email = lower(share.email) limit 1);
  if guest is null then
    perform app.fail('not_found', 'No account has this address');
  elsif guest = account then
    perform app.fail('conflict', 'Cannot share with yourself: it is yours already');
  end if;
  insert into public.conversation_members as member (conversation_id, user_id, role)
  values (conversation, guest, share.role)
  on conflict on constraint conversation_members_pkey do update set role = excluded.role;
  perform app.audit(account, 'conversation_shared', conversation::text,
    jsonb_build_object('user', guest, 'role', share.role));
  return guest;
end
$$;

-- The owner takes others out; others leave.
create function app.unshare(conversation uuid, user_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_member(conversation, 'reader');
begin
  perform app.require_writer();
  if unshare.user_id is distinct from account then
    perform app.require_member(conversation, 'owner');
  end if;
  if exists (
    select from public.conversations found where found.id = conversation and found.owner_id = unshare.user_id
  ) then
    perform app.fail('conflict', 'Cannot take the owner out: delete the conversation instead');
  end if;
  delete from public.conversation_members member
  where member.conversation_id = conversation and member.user_id = unshare.user_id;
  if not found then
    perform app.fail('not_found', 'There is no such member');
  end if;
  perform app.audit(account, 'conversation_unshared', conversation::text,
    jsonb_build_object('user', unshare.user_id));
end
$$;

create function app.list_members(conversation uuid)
returns table (user_id uuid, role text, display_name text, email text, created_at timestamptz)
language plpgsql stable security definer set search_path = '' as $$
begin
  perform app.require_member(conversation, 'reader');
  return query
    select profile.id, member.role, profile.display_name, profile.email, member.created_at
    from public.conversation_members member
    join public.profiles profile on profile.id = member.user_id
    where member.conversation_id = conversation
    order by member.created_at, profile.id
    limit 1000;
end
$$;

-- Messages -----------------------------------------------------------------------------------------------------------

-- The message, if the caller may do that much in its conversation.
create function app.require_message(message uuid, at_least text) returns public.messages
language plpgsql stable security definer set search_path = '' as $$
declare
  found_message public.messages;
begin
  perform app.require_account();
  select * into found_message from public.messages where id = message;
  if found_message.id is null or not app.is_member(found_message.conversation_id, 'reader') then
    perform app.fail('not_found', 'There is no such message');
  end if;
  perform app.require_member(found_message.conversation_id, at_least);
  return found_message;
end
$$;

-- Takes the conversation for a change; it is also what moves to the top of the list.
create function app.take_conversation(conversation uuid) returns void
language sql security definer set search_path = '' as $$
  update public.conversations set updated_at = now() where id = conversation
$$;

-- The message that another one is to follow; its conversation has been taken.
create function app.require_parent(conversation uuid, parent uuid) returns public.messages
language plpgsql security definer set search_path = '' as $$
declare
  found_parent public.messages;
begin
  select * into found_parent from public.messages where id = parent and conversation_id = conversation;
  if found_parent.id is null then
    perform app.fail('not_found', 'The conversation has no such message to follow on');
  elsif found_parent.deleted_at is not null then
    perform app.fail('conflict', 'Cannot follow on a deleted message: bring it back first');
  elsif found_parent.state = 'in_progress' then
    perform app.fail('conflict', 'Cannot follow on an answer in progress: wait for its end, or stop it');
  end if;
  return found_parent;
end
$$;

-- Puts a new message in its place: in its parent's thread, or in a new one of which it is the root. What it holds of
-- content, type and author is the caller's to say.
create function app.insert_message(draft public.messages, thread_name text) returns uuid
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  parent public.messages;
begin
  draft.id := app.uuid_v7();
  if draft.parent_id is null then
    draft.depth := 0;
    draft.thread_id := (select root_thread_id from public.conversations where id = draft.conversation_id);
  else
    parent := app.require_parent(draft.conversation_id, draft.parent_id);
    draft.depth := parent.depth + 1;
    draft.thread_id := parent.thread_id;
  end if;
  if thread_name is not null then
    insert into public.threads (conversation_id, name, root_message_id)
    values (draft.conversation_id, thread_name, draft.id)
    returning id into draft.thread_id;
  end if;
  draft.created_at := clock_timestamp();
  draft.finished_at := case when draft.state <> 'in_progress' then draft.created_at end;
  insert into public.messages select draft.*;
  -- Who writes looks at what was written.
  update public.conversation_members set leaf_id = draft.id
  where conversation_id = draft.conversation_id and user_id = draft.author_id;
  return draft.id;
end
$$;

-- Posts what a person, a tool or the runtime says. A sibling of a message is posted with the same parent.
create function app.post_message(
  conversation uuid, parent uuid, message_type text, content text,
  thread_name text default null, tool_call_id text default null
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  draft public.messages;
begin
  draft.author_id := app.require_member(conversation, 'writer');
  if message_type is null or message_type not in ('user', 'system', 'tool', 'summary', 'note', 'image') then
    perform app.fail('invalid_request', 'Cannot post a message of this type; answers are begun, not posted');
  elsif content is null or char_length(content) > 2000000 then
    perform app.fail('invalid_request', 'Cannot post this: a message has at most 2,000,000 characters');
  end if;
  perform app.take_conversation(conversation);
  draft.conversation_id := conversation;
  draft.parent_id := parent;
  draft.message_type := message_type;
  draft.content := content;
  draft.tool_call_id := tool_call_id;
  draft.state := 'complete';
  return app.insert_message(draft, thread_name);
end
$$;

-- What follows on a message, from the index. As a function with this setting, because the planner, without statistics
-- or with those of a small table, would rather read the whole conversation again for each step down the tree.
create function app.children(parent uuid) returns setof public.messages
language sql stable security definer set search_path = '' set enable_seqscan = off rows 1 as $$
  select * from public.messages where parent_id = parent
$$;

-- A deletion marks the message and what follows on it; one mark brings back what went together.
create function app.delete_message(message uuid) returns integer
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  root public.messages := app.require_message(message, 'writer');
  mark timestamptz := clock_timestamp();
  marked integer;
begin
  perform app.take_conversation(root.conversation_id);
  with recursive doomed (id) as (
    select id from public.messages where id = message and deleted_at is null
    union all
    select child.id from doomed
    cross join lateral app.children(doomed.id) child
    where child.deleted_at is null
  )
  update public.messages set deleted_at = mark where id in (select id from doomed);
  get diagnostics marked = row_count;
  if marked > 0 then
    update app.answers set stop_requested_at = now()
    where message_id in (
      select answer.message_id from app.answers answer
      join public.messages stopped on stopped.id = answer.message_id
      where stopped.conversation_id = root.conversation_id and stopped.deleted_at is not null
    );
    perform app.audit(app.current_user_id(), 'message_deleted', message::text, jsonb_build_object('count', marked));
  end if;
  return marked;
end
$$;

create function app.undelete_message(message uuid) returns integer
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  root public.messages := app.require_message(message, 'writer');
  restored integer;
begin
  perform app.take_conversation(root.conversation_id);
  select * into root from public.messages where id = message;
  if exists (select from public.messages where id = root.parent_id and deleted_at is not null) then
    perform app.fail('conflict', 'Cannot bring this back before the message that it follows on');
  end if;
  with recursive returning_ones (id) as (
    select id from public.messages where id = message and deleted_at is not null
    union all
    select child.id from returning_ones
    cross join lateral app.children(returning_ones.id) child
    where child.deleted_at = root.deleted_at
  )
  update public.messages set deleted_at = null where id in (select id from returning_ones);
  get diagnostics restored = row_count;
  return restored;
end
$$;

revoke execute on function app.create_conversation(text, text), app.delete_conversation(uuid),
  app.undelete_conversation(uuid), app.erase_conversations(uuid[]), app.purge_conversation(uuid),
  app.purge_deleted(interval, integer), app.share(uuid, text, text), app.unshare(uuid, uuid), app.list_members(uuid),
  app.require_message(uuid, text), app.take_conversation(uuid), app.require_parent(uuid, uuid),
  app.insert_message(public.messages, text), app.post_message(uuid, uuid, text, text, text, text),
  app.children(uuid), app.delete_message(uuid), app.undelete_message(uuid)
  from public, anon, authenticated, service_role;
grant execute on function app.create_conversation(text, text), app.delete_conversation(uuid),
  app.undelete_conversation(uuid), app.purge_conversation(uuid), app.share(uuid, text, text),
  app.unshare(uuid, uuid), app.list_members(uuid), app.post_message(uuid, uuid, text, text, text, text),
  app.delete_message(uuid), app.undelete_message(uuid) to authenticated;
grant execute on function app.purge_deleted(interval, integer) to service_role;
