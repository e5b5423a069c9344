-- Walking the tree, moving parts of it, copying branches, bringing conversations in from outside.

-- The message and its ancestors, root first, whichever threads they are in: a message's context, and no more.
-- The settings keep it on the indexes, step by step.
create function app.message_path(leaf uuid) returns setof public.messages
language plpgsql stable security definer set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off rows 100 as $$
begin
  perform app.require_message(leaf, 'reader');
  return query
    with recursive path (id, conversation_id, parent_id) as (
      select id, conversation_id, parent_id from public.messages where id = leaf
      union all
      select parent.id, parent.conversation_id, parent.parent_id
      from path join public.messages parent on parent.id = path.parent_id
    )
    select message.* from path join public.messages message on message.id = path.id
    order by message.depth;
end
$$;

-- Moves a message and what follows on it, as far as it is in the same thread, to another thread of the conversation or
-- to a new one. Parents stay: order and links are kept, and threads within the subtree stay what they are. Returns the
-- thread.
create function app.move_subtree(message uuid, target_thread uuid default null, name text default null) returns uuid
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  root public.messages := app.require_message(message, 'writer');
  target public.threads;
begin
  perform app.take_conversation(root.conversation_id);
  select * into root from public.messages where id = message;
  if target_thread is null then
    if coalesce(name, '') = '' then
      perform app.fail('invalid_request', 'Cannot move to a new thread without a name for it');
    end if;
    insert into public.threads (conversation_id, name, root_message_id)
    values (root.conversation_id, name, root.id) returning * into target;
  else
    select * into target from public.threads where id = target_thread and conversation_id = root.conversation_id;
    if target.id is null then
      perform app.fail('not_found', 'The conversation has no such thread');
    elsif target.id = root.thread_id then
      return target.id;
    elsif app.is_ancestor(root.id, target.root_message_id) then
      perform app.fail('conflict', 'Cannot move a message into a thread that begins below it');
    end if;
  end if;
  with recursive moved (id) as (
    select root.id
    union all
    select child.id from moved
    cross join lateral app.children(moved.id) child
    where child.thread_id = root.thread_id
  )
  update public.messages set thread_id = target.id where id in (select id from moved);
  perform app.tidy_thread(root.thread_id, root.id);
  return target.id;
end
$$;

-- True if the ancestor is the message itself or above it.
create function app.is_ancestor(ancestor uuid, message uuid) returns boolean
language sql stable security definer set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  with recursive path (id, parent_id) as (
    select id, parent_id from public.messages where id = message
    union all
    select parent.id, parent.parent_id from path join public.messages parent on parent.id = path.parent_id
  )
  select exists (select from path where id = ancestor)
$$;

-- After a move: a thread without messages goes, one that lost its root begins at the earliest that is left.
create function app.tidy_thread(thread uuid, lost_root uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  left_over uuid := (select id from public.messages where thread_id = thread
    and conversation_id = (select conversation_id from public.threads where id = thread) order by depth, id limit 1);
begin
  if left_over is null then
    delete from public.threads where id = thread
      and not exists (select from public.conversations where root_thread_id = thread and id = conversation_id);
  else
    update public.threads set root_message_id = left_over where id = thread and root_message_id = lost_root;
  end if;
end
$$;

-- Copies the path to a message into a new conversation of the caller's, with new ids, its threads and its links.
create function app.fork_conversation(message uuid, title text default null)
returns table (conversation_id uuid, thread_id uuid, leaf_id uuid)
language plpgsql security definer set search_path = '' as $$
declare
  leaf public.messages := app.require_message(message, 'reader');
  source public.conversations;
begin
  perform app.require_writer();
  if leaf.deleted_at is not null or leaf.state = 'in_progress' then
    perform app.fail('conflict', 'Cannot fork at a message that is deleted or in progress');
  end if;
  select * into source from public.conversations where id = leaf.conversation_id;
  select made.conversation_id, made.thread_id into fork_conversation.conversation_id, fork_conversation.thread_id
  from app.create_conversation(coalesce(fork_conversation.title, source.title), source.model) made;
  leaf_id := (
    select copied.id from app.copy_path(message, source.root_thread_id, conversation_id, thread_id) copied (id)
  );
  update public.conversation_members member set leaf_id = fork_conversation.leaf_id
  where member.conversation_id = fork_conversation.conversation_id;
  return next;
end
$$;

-- Copies into a conversation that is empty; returns the copy of the leaf.
create function app.copy_path(leaf uuid, source_root_thread uuid, target uuid, target_root_thread uuid) returns uuid
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  olds uuid[];
  news uuid[];
  new_threads jsonb;
begin
  select array_agg(path.id order by path.depth), array_agg(app.uuid_v7() order by path.depth)
  into olds, news from app.message_path(leaf) path;
  news := array(select id from unnest(news) id order by id);
  select jsonb_object_agg(found.id, case when found.id = source_root_thread then target_root_thread
    else app.uuid_v7() end)
  into new_threads
  from (select distinct thread_id as id from public.messages where id = any (olds)) found;

  -- A thread of the copy begins at the first of its messages that is on the path.
  insert into public.threads (id, conversation_id, name, root_message_id)
  select (new_threads ->> thread.id::text)::uuid, target, thread.name,
    news[(select min(original.depth) + 1 from public.messages original
      where original.thread_id = thread.id and original.id = any (olds))]
  from public.threads thread
  where new_threads ? thread.id::text and thread.id <> source_root_thread;

  -- The depth of a message on a path is its position there.
  insert into public.messages (
    id, conversation_id, thread_id, parent_id, depth, message_type, content, reasoning, tool_calls, tool_call_id,
    state, model, usage, error, author_id, created_at, finished_at
  )
  select news[original.depth + 1], target, (new_threads ->> original.thread_id::text)::uuid, news[original.depth],
    original.depth, original.message_type, original.content, original.reasoning, original.tool_calls,
    original.tool_call_id, original.state, original.model, original.usage, original.error, original.author_id,
    original.created_at, original.finished_at
  from unnest(olds) old_id
  join public.messages original on original.id = old_id
  order by original.depth;
  return news[cardinality(news)];
end
$$;

-- Brings messages from outside into a conversation of the caller's that has none. `messages` is an array in which a
-- parent comes before its children: `{id, parent_id, thread_id, message_type, content, reasoning, tool_calls,
-- tool_call_id, state, model, usage, error, created_at, finished_at, deleted_at}`; `threads` names those beside the
-- first: `{id, name, root_message_id}`. Ids are those of the outside; returned is what they became.
create function app.import_messages(conversation uuid, messages jsonb, threads jsonb default '[]')
returns table (outside_id text, id uuid)
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_member(conversation, 'owner');
  outside text[];
  inside uuid[];
begin
  if jsonb_typeof(messages) is distinct from 'array' or jsonb_typeof(threads) is distinct from 'array'
    or jsonb_array_length(messages) > 100000 or jsonb_array_length(threads) > 10000
  then
    perform app.fail('invalid_request', 'Cannot import this: at most 100,000 messages and 10,000 threads');
  end if;
  perform app.take_conversation(conversation);
  if exists (select from public.messages existing where existing.conversation_id = conversation) then
    perform app.fail('conflict', 'Cannot import into a conversation that has messages');
  end if;
  select array_agg(given.message ->> 'id' order by given.position), array_agg(app.uuid_v7())
  into outside, inside
  from jsonb_array_elements(messages) with ordinality as given (message, position);
  -- Ids in the order of the array, whatever the order in which they were made.
  inside := array(select made from unnest(inside) made order by made);
  if (select count(distinct name) from unnest(outside) name) <> coalesce(cardinality(outside), 0) then
    perform app.fail('invalid_request', 'Cannot import messages without ids, or two with the same');
  end if;
  perform app.insert_imported(conversation, account, messages, threads, outside, inside);
  return query select * from unnest(outside, inside);
end
$$;

-- For each message of the array, the position of its parent; 0 where it has none.
create function app.find_parents(messages jsonb, outside text[]) returns integer[]
language plpgsql stable security definer set search_path = '' as $$
declare
  -- Looked up by key: with joins, the planner would guess how long the arrays are, and compare each with each.
  positions jsonb := jsonb_object(outside, array(select generate_series(1, cardinality(outside)))::text[]);
  parents integer[];
begin
  parents := array(
    select coalesce((positions ->> (given.message ->> 'parent_id'))::integer, 0)
    from jsonb_array_elements(messages) with ordinality as given (message, position)
    order by given.position
  );
  if exists (
    select from jsonb_array_elements(messages) with ordinality as given (message, position)
    where (given.message ->> 'parent_id' is not null) <> (parents[given.position] > 0)
      or parents[given.position] >= given.position
  ) then
    perform app.fail('invalid_request', 'Cannot import a message whose parent does not come before it');
  end if;
  return parents;
end
$$;

create function app.insert_imported(
  conversation uuid, account uuid, messages jsonb, threads jsonb, outside text[], inside uuid[]
) returns void language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  root_thread uuid := (select root_thread_id from public.conversations where id = conversation);
  parents integer[] := app.find_parents(messages, outside);
  depths integer[] := array_fill(0, array[coalesce(cardinality(outside), 0)]);
  ids jsonb := jsonb_object(outside, inside::text[]);
  thread_ids jsonb;
begin
  for position in 1 .. coalesce(cardinality(parents), 0) loop
    if parents[position] > 0 then
      depths[position] := depths[parents[position]] + 1;
    end if;
  end loop;
  select coalesce(jsonb_object_agg(thread ->> 'id', app.uuid_v7()), '{}') into thread_ids
  from jsonb_array_elements(threads) thread;

  insert into public.threads (id, conversation_id, name, root_message_id)
  select (thread_ids ->> (thread ->> 'id'))::uuid, conversation, left(thread ->> 'name', 300),
    (ids ->> (thread ->> 'root_message_id'))::uuid
  from jsonb_array_elements(threads) thread;

  insert into public.messages (
    id, conversation_id, thread_id, parent_id, depth, message_type, content, reasoning, tool_calls, tool_call_id,
    state, model, usage, error, author_id, created_at, finished_at, deleted_at
  )
  select inside[given.position], conversation, coalesce((thread_ids ->> read.thread_id)::uuid, root_thread),
    case when parents[given.position] > 0 then inside[parents[given.position]] end, depths[given.position],
    read.message_type, coalesce(read.content, ''), read.reasoning, nullif(read.tool_calls, 'null'), read.tool_call_id,
    -- Nobody writes it here.
    case when read.state = 'in_progress' then 'interrupted' else coalesce(read.state, 'complete') end,
    read.model, nullif(read.usage, 'null'), nullif(read.error, 'null'),
    case when read.message_type <> 'assistant' then account end,
    coalesce(read.created_at, now()), coalesce(read.finished_at, read.created_at, now()), read.deleted_at
  from jsonb_array_elements(messages) with ordinality as given (message, position)
  cross join lateral jsonb_to_record(given.message) as read (
    thread_id text, message_type text, content text, reasoning text, tool_calls jsonb, tool_call_id text, state text,
    model text, usage jsonb, error jsonb, created_at timestamptz, finished_at timestamptz, deleted_at timestamptz
  )
  order by given.position;
exception when not_null_violation or check_violation or unique_violation or foreign_key_violation
  or invalid_datetime_format or datetime_field_overflow or invalid_parameter_value
then
  perform app.fail('invalid_request', 'Cannot import this: a message or thread lacks what it must have');
end
$$;

revoke execute on function app.message_path(uuid), app.move_subtree(uuid, uuid, text), app.is_ancestor(uuid, uuid),
  app.tidy_thread(uuid, uuid), app.fork_conversation(uuid, text), app.copy_path(uuid, uuid, uuid, uuid),
  app.import_messages(uuid, jsonb, jsonb), app.find_parents(jsonb, text[]),
  app.insert_imported(uuid, uuid, jsonb, jsonb, text[], uuid[])
  from public, anon, authenticated, service_role;
grant execute on function app.message_path(uuid), app.move_subtree(uuid, uuid, text),
  app.fork_conversation(uuid, text), app.import_messages(uuid, jsonb, jsonb) to authenticated;
