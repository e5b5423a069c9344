-- Answers in progress: begun by a writer, written by the server in chunks, ended once. They go on without the page that
-- asked, so that the runtime may write as service_role after its user's token has ended.

create function app.begin_answer(parent uuid, model text, instance text, thread_name text default null) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  before public.messages := app.require_message(parent, 'writer');
  draft public.messages;
  answer uuid;
begin
  if coalesce(instance, '') = '' then
    perform app.fail('invalid_request', 'Cannot begin an answer without the name of the runtime that writes it');
  end if;
  perform app.take_conversation(before.conversation_id);
  draft.conversation_id := before.conversation_id;
  draft.parent_id := parent;
  draft.message_type := 'assistant';
  draft.content := '';
  draft.state := 'in_progress';
  draft.model := model;
  draft.author_id := app.current_user_id();
  answer := app.insert_message(draft, thread_name);
  insert into app.answers (message_id, instance) values (answer, begin_answer.instance);
  return answer;
end
$$;

-- Locks the answer, if the caller may write it; null when it has ended.
create function app.take_answer(message uuid) returns app.answers
language plpgsql security definer set search_path = '' as $$
declare
  answer app.answers;
begin
  if not app.is_service() then
    perform app.require_message(message, 'writer');
  elsif not exists (select from public.messages where id = message) then
    perform app.fail('not_found', 'There is no such message');
  end if;
  select * into answer from app.answers where message_id = message for update;
  return answer;
end
$$;

-- Stores the next chunks, `[{"kind", "body"}]`, and returns the number of the last one. With first_seq, the number of
-- the first one given, it may be called again when the reply got lost: what is stored already is left out.
create function app.append_chunks(message uuid, chunks jsonb, first_seq bigint default null) returns bigint
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  answer app.answers := app.take_answer(message);
  last bigint;
begin
  if jsonb_typeof(chunks) is distinct from 'array' or jsonb_array_length(chunks) > 1000 then
    perform app.fail('invalid_request', 'Cannot append this: chunks are an array of at most 1,000');
  elsif exists (
    select from jsonb_array_elements(chunks) chunk
    where (chunk ->> 'kind' in ('text', 'reasoning', 'tool_call')) is not true or chunk -> 'body' is null
  ) then
    perform app.fail('invalid_request', 'Cannot append a chunk without a body or of this kind');
  elsif answer.message_id is null then
    perform app.fail('conflict', 'Cannot append to an answer that has ended');
  elsif first_seq > answer.last_seq + 1 then
    perform app.fail('conflict', format('Cannot append chunk %s after chunk %s', first_seq, answer.last_seq));
  end if;
  insert into public.message_chunks (message_id, seq, kind, body)
  select message, numbered.seq, numbered.chunk ->> 'kind', numbered.chunk -> 'body'
  from (
    select chunk, coalesce(first_seq, answer.last_seq + 1) + position - 1 as seq
    from jsonb_array_elements(chunks) with ordinality as given (chunk, position)
  ) numbered
  where numbered.seq > answer.last_seq
  order by numbered.seq;
  last := greatest(answer.last_seq, coalesce(first_seq, answer.last_seq + 1) + jsonb_array_length(chunks) - 1);
  update app.answers set last_seq = last, heartbeat_at = clock_timestamp() where message_id = message;
  return last;
end
$$;

-- Puts the answer's text chunks together; null when there is none.
create function app.join_chunks(message uuid, wanted_kind text) returns text
language sql stable security definer set search_path = '' as $$
  select string_agg(body #>> '{}', '' order by seq)
  from public.message_chunks where message_id = message and kind = wanted_kind
$$;

-- Ends an answer that has been taken, and returns the number of its last chunk.
create function app.end_answer(
  answer app.answers, state text, content text, reasoning text, tool_calls jsonb, usage jsonb, error jsonb
) returns bigint language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
begin
  insert into public.message_chunks (message_id, seq, kind, body)
  values (answer.message_id, answer.last_seq + 1, 'done',
    jsonb_build_object('state', state, 'usage', end_answer.usage, 'error', end_answer.error));
  update public.messages message set
    state = end_answer.state,
    content = coalesce(end_answer.content, app.join_chunks(answer.message_id, 'text'), ''),
    reasoning = coalesce(end_answer.reasoning, app.join_chunks(answer.message_id, 'reasoning')),
    tool_calls = end_answer.tool_calls,
    usage = end_answer.usage,
    error = end_answer.error,
    finished_at = clock_timestamp()
  where message.id = answer.message_id;
  delete from app.answers where message_id = answer.message_id;
  update public.conversations set updated_at = now()
  where id = (select conversation_id from public.messages where id = answer.message_id);
  return answer.last_seq + 1;
end
$$;

-- Ends an answer. Without content, it is what the chunks say. Ending it again the same way is no mistake: the reply of
-- the first time may have been lost.
create function app.finish_answer(
  message uuid, state text, content text default null, reasoning text default null, tool_calls jsonb default null,
  usage jsonb default null, error jsonb default null
) returns bigint language plpgsql security definer set search_path = '' as $$
declare
  answer app.answers := app.take_answer(message);
  ended text;
begin
  if state is null or state not in ('complete', 'interrupted', 'stopped', 'failed') then
    perform app.fail('invalid_request', 'Cannot end an answer this way');
  elsif answer.message_id is not null then
    return app.end_answer(answer, state, content, reasoning, tool_calls, usage, error);
  end if;
  ended := (select found.state from public.messages found where found.id = message);
  if ended is distinct from finish_answer.state then
    perform app.fail('conflict', format('Cannot end an answer that is %s already', ended));
  end if;
  return (select max(seq) from public.message_chunks where message_id = message);
end
$$;

-- Asks whichever runtime writes the answer to stop; false when it has ended.
create function app.request_stop(message uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
  perform app.require_message(message, 'writer');
  update app.answers set stop_requested_at = coalesce(stop_requested_at, now()) where message_id = message;
  return found;
end
$$;

-- A runtime's sign of life for all that it writes. Returns the answers that are to stop, since a notification may be
-- missed.
create function app.touch_answers(instance text) returns setof uuid
language plpgsql security definer set search_path = '' as $$
begin
  return query
    with touched as (
      update app.answers answer set heartbeat_at = clock_timestamp() where answer.instance = touch_answers.instance
      returning answer.message_id, answer.stop_requested_at
    )
    select touched.message_id from touched where touched.stop_requested_at is not null;
end
$$;

-- Ends as interrupted what nobody writes any more: answers of this instance, which calls it before it begins any, and
-- those whose runtime has shown no sign of life for so long. What was written of them stays.
create function app.interrupt_stale_answers(instance text, stale_after interval default '1 minute') returns setof uuid
language plpgsql security definer set search_path = '' as $$
declare
  answer app.answers;
begin
  for answer in
    select * from app.answers stale
    where stale.instance = interrupt_stale_answers.instance or stale.heartbeat_at < clock_timestamp() - stale_after
    for update skip locked
  loop
    perform app.end_answer(answer, 'interrupted', null, null, null, null, jsonb_build_object(
      'code', 'engine_gone', 'message', 'Rookery ended before this answer did; it can be continued'));
    return next answer.message_id;
  end loop;
end
$$;

-- Chunks serve those who follow a stream. Long after its end, the message itself has it all. Returns how many went.
create function app.prune_chunks(older_than interval default '1 day', at_most integer default 10000) returns integer
language plpgsql security definer set search_path = '' as $$
declare
  pruned integer;
begin
  perform set_config('rookery.purging', 'on', true);
  delete from public.message_chunks chunk using (
    select old.message_id, old.seq from public.message_chunks old
    join public.messages message on message.id = old.message_id
    where message.finished_at < now() - older_than
    limit at_most
  ) doomed
  where chunk.message_id = doomed.message_id and chunk.seq = doomed.seq;
  get diagnostics pruned = row_count;
  perform set_config('rookery.purging', '', true);
  return pruned;
end
$$;

revoke execute on function app.begin_answer(uuid, text, text, text), app.take_answer(uuid),
  app.append_chunks(uuid, jsonb, bigint), app.join_chunks(uuid, text),
  app.end_answer(app.answers, text, text, text, jsonb, jsonb, jsonb),
  app.finish_answer(uuid, text, text, text, jsonb, jsonb, jsonb), app.request_stop(uuid), app.touch_answers(text),
  app.interrupt_stale_answers(text, interval), app.prune_chunks(interval, integer)
  from public, anon, authenticated, service_role;
grant execute on function app.begin_answer(uuid, text, text, text), app.request_stop(uuid) to authenticated;
grant execute on function app.append_chunks(uuid, jsonb, bigint),
  app.finish_answer(uuid, text, text, text, jsonb, jsonb, jsonb) to authenticated, service_role;
grant execute on function app.touch_answers(text), app.interrupt_stale_answers(text, interval),
  app.prune_chunks(interval, integer) to service_role;
