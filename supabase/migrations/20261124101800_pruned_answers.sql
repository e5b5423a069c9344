-- The last chunk of an answer stays when the others go: whoever comes back to the stream learns by its number whether
-- there was something between that they have not seen. All others of a message go, or none: who reads a stream again must
-- not find half of it.
create or replace function app.prune_chunks(older_than interval default '1 day', at_most integer default 10000)
returns integer language plpgsql security definer set search_path = '' as $$
declare
  pruned integer;
begin
  perform set_config('rookery.purging', 'on', true);
  delete from public.message_chunks chunk where chunk.kind <> 'done' and chunk.message_id in (
    select first.message_id from public.message_chunks first
    join public.messages message on message.id = first.message_id
    where first.seq = 1 and first.kind <> 'done' and message.finished_at < now() - older_than
    -- An answer has about so many.
    limit greatest(1, at_most / 100)
  );
  get diagnostics pruned = row_count;
  perform set_config('rookery.purging', '', true);
  return pruned;
end
$$;
