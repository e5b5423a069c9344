-- A runtime shows signs of life for the answers that it is really writing. One that it began without hearing of it, since
-- the connection was lost at the commit, or whose end could not be stored, is nobody's: it gets none and is interrupted
-- like those of a dead runtime, instead of being in progress for as long as the runtime lives.
drop function app.touch_answers(text);

-- Returns the answers of this runtime that are to stop, since a notification may be missed.
create function app.touch_answers(instance text, written uuid[]) returns setof uuid
language plpgsql security definer set search_path = '' as $$
begin
  update app.answers answer set heartbeat_at = clock_timestamp()
  where answer.instance = touch_answers.instance and answer.message_id = any (written);
  return query
    select answer.message_id from app.answers answer
    where answer.instance = touch_answers.instance and answer.stop_requested_at is not null;
end
$$;

revoke execute on function app.touch_answers(text, uuid[]) from public, anon, authenticated, service_role;
grant execute on function app.touch_answers(text, uuid[]) to service_role;
