-- Pages of messages and of chunks. Row level security asks for membership once for every row that is looked at, which
-- without statistics are all of a conversation; these procedures ask once.

-- Live messages in the order of time, after one: all of a conversation, those of a thread, what follows on a message, or
-- what follows on the same one as it.
create function app.list_messages(
  conversation uuid, after_id uuid default null, thread uuid default null, children_of uuid default null,
  siblings_of uuid default null, row_limit integer default 50
) returns setof public.messages
language plpgsql stable security definer set search_path = '' rows 50 as $$
declare
  named uuid := coalesce(children_of, siblings_of);
  since uuid := coalesce(after_id, '00000000-0000-0000-0000-000000000000');
  page_size integer := least(greatest(row_limit, 1), 500);
  parent uuid := children_of;
begin
  perform app.require_member(conversation, 'reader');
  if named is not null and not exists (
    select from public.messages message where message.conversation_id = conversation and message.id = named
  ) then
    perform app.fail('not_found', 'There is no such message');
  end if;
  if siblings_of is not null then
    parent := (select message.parent_id from public.messages message where message.id = siblings_of);
  end if;
  if thread is not null then
    return query select * from public.messages message
      where message.conversation_id = conversation and message.thread_id = thread and message.id > since
        and message.deleted_at is null
      order by message.id limit page_size;
  elsif named is null then
    return query select * from public.messages message
      where message.conversation_id = conversation and message.id > since and message.deleted_at is null
      order by message.id limit page_size;
  elsif parent is null then
    return query select * from public.messages message
      where message.conversation_id = conversation and message.parent_id is null and message.id > since
        and message.deleted_at is null
      order by message.id limit page_size;
  else
    return query select * from public.messages message
      where message.conversation_id = conversation and message.parent_id = parent and message.id > since
        and message.deleted_at is null
      order by message.id limit page_size;
  end if;
end
$$;

-- The chunks of an answer after one of them, in order.
create function app.list_chunks(message uuid, after_seq bigint default 0, row_limit integer default 500)
returns table (seq bigint, kind text, body jsonb)
language plpgsql stable security definer set search_path = '' rows 50 as $$
begin
  perform app.require_message(message, 'reader');
  return query select chunk.seq, chunk.kind, chunk.body from public.message_chunks chunk
    where chunk.message_id = message and chunk.seq > after_seq
    order by chunk.seq limit least(greatest(row_limit, 1), 1000);
end
$$;

-- What leaves a conversation as a file is remembered.
create function app.record_export(conversation uuid, details jsonb default '{}') returns void
language plpgsql security definer set search_path = '' as $$
declare
  account uuid := app.require_member(conversation, 'reader');
begin
  perform app.audit(account, 'conversation_exported', conversation::text, details);
end
$$;

-- All chunks of a message go, or none: who reads a stream again must not find half of it.
create or replace function app.prune_chunks(older_than interval default '1 day', at_most integer default 10000)
returns integer language plpgsql security definer set search_path = '' as $$
declare
  pruned integer;
begin
  perform set_config('rookery.purging', 'on', true);
  delete from public.message_chunks chunk where chunk.message_id in (
    select first.message_id from public.message_chunks first
    join public.messages message on message.id = first.message_id
    where first.seq = 1 and message.finished_at < now() - older_than
    -- An answer has about so many.
    limit greatest(1, at_most / 100)
  );
  get diagnostics pruned = row_count;
  perform set_config('rookery.purging', '', true);
  return pruned;
end
$$;

revoke execute on function app.list_messages(uuid, uuid, uuid, uuid, uuid, integer),
  app.list_chunks(uuid, bigint, integer), app.record_export(uuid, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function app.list_messages(uuid, uuid, uuid, uuid, uuid, integer),
  app.list_chunks(uuid, bigint, integer), app.record_export(uuid, jsonb) to authenticated;
