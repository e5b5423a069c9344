-- Something to look at while developing: two accounts without passwords (an administrator makes them a reset link), and
-- a conversation that one shares with the other. It can run again, and does nothing then.
do $$
declare
  ann constant uuid := '00000000-0000-4000-8000-00000000000a';
  will constant uuid := '00000000-0000-4000-8000-00000000000b';
  made record;
  question uuid;
  answer uuid;
begin
  if exists (select from public.profiles where id in (ann, will)) then
    return;
  end if;
  insert into auth.users (
    instance_id, id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, confirmation_token,
    recovery_token, email_change, email_change_token_new, created_at, updated_at
  )
  select '00000000-0000-0000-0000-000000000000', person.id, 'authenticated', 'authenticated', person.email, now(),
    '{"provider": "email", "providers": ["email"]}', jsonb_build_object('display_name', person.name), '', '', '', '',
    now(), now()
  from (values (ann, 'ann@example.org', 'Ann'), (will, 'will@example.org', 'Will')) person (id, email, name);

  perform set_config('request.jwt.claims', json_build_object('sub', ann, 'role', 'authenticated')::text, true);
  select * into made from app.create_conversation('Birds of the marsh');
  perform app.share(made.conversation_id, 'will@example.org', 'writer');
  question := app.post_message(made.conversation_id, null, 'user', 'Which birds nest in a marsh?');
  answer := app.begin_answer(question, null, 'seed');
  perform app.append_chunks(answer, '[{"kind": "text", "body": "Coots, moorhens, bitterns "}]');
  perform app.append_chunks(answer, '[{"kind": "text", "body": "and reed warblers, for example."}]');
  perform app.finish_answer(answer, 'complete');
  perform app.post_message(made.conversation_id, question, 'note', 'Look up the bittern', thread_name => 'To do');
  perform set_config('request.jwt.claims', '', true);
end
$$;
