-- Conversations hold one tree of messages; a thread is a named part of it. Messages are append-only: an edit is a
-- sibling, a deletion a mark. The ancestors of a message, across threads up to the root, are its context.

create table public.conversations (
  id uuid primary key default app.uuid_v7(),
  owner_id uuid not null references public.profiles on delete cascade,
  title text not null check (char_length(title) between 1 and 300),
  model text check (char_length(model) <= 300),
  root_thread_id uuid not null,
  archived_at timestamptz,
  pinned_at timestamptz,
  deleted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index conversations_owner_id_idx on public.conversations (owner_id, updated_at desc, id desc);
do $$
begin
  if exists (select from pg_extension where extname = 'pg_trgm') then
    create index conversations_title_idx on public.conversations using gin (title extensions.gin_trgm_ops);
  end if;
end
$$;
create index conversations_deleted_at_idx on public.conversations (deleted_at) where deleted_at is not null;

create table public.threads (
  id uuid primary key default app.uuid_v7(),
  conversation_id uuid not null references public.conversations on delete cascade,
  name text not null check (char_length(name) between 1 and 300),
  root_message_id uuid,
  created_at timestamptz not null default now(),
  unique (conversation_id, id)
);

-- Deferred: a conversation and its first thread need each other.
alter table public.conversations add constraint conversations_root_thread_id_fkey
  foreign key (id, root_thread_id) references public.threads (conversation_id, id) deferrable initially deferred;
create index conversations_root_thread_id_idx on public.conversations (id, root_thread_id);

create table public.messages (
  id uuid primary key default app.uuid_v7(),
  conversation_id uuid not null references public.conversations on delete cascade,
  thread_id uuid not null,
  parent_id uuid references public.messages,
  depth integer not null check (depth >= 0 and (depth = 0) = (parent_id is null)),
  message_type text not null
    check (message_type in ('user', 'assistant', 'system', 'tool', 'summary', 'note', 'image')),
  content text not null default '' check (char_length(content) <= 2000000),
  reasoning text check (char_length(reasoning) <= 2000000),
  tool_calls jsonb,
  tool_call_id text check (char_length(tool_call_id) <= 300),
  state text not null default 'complete'
    check (state in ('complete', 'in_progress', 'interrupted', 'stopped', 'failed')),
  model text check (char_length(model) <= 300),
  usage jsonb,
  error jsonb,
  author_id uuid references public.profiles on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  deleted_at timestamptz,
  check ((state = 'in_progress') = (finished_at is null)),
  check (state <> 'in_progress' or message_type = 'assistant'),
  -- Pages of a conversation, in the order of time.
  unique (conversation_id, id)
);
-- These keys hold the conversation, so that no link leads out of it; for parents a trigger sees to it.
alter table public.messages add constraint messages_thread_id_fkey
  foreign key (conversation_id, thread_id) references public.threads (conversation_id, id);
alter table public.threads add constraint threads_root_message_id_fkey
  foreign key (conversation_id, root_message_id) references public.messages (conversation_id, id)
  deferrable initially deferred;
-- By parent alone, so that walking down the tree has this one index to take and no plan can take a worse one.
create index messages_parent_id_idx on public.messages (parent_id, id);
create index messages_beginnings_idx on public.messages (conversation_id, id) where parent_id is null;
create index messages_thread_id_idx on public.messages (conversation_id, thread_id, id);
create index messages_author_id_idx on public.messages (author_id);
create index threads_root_message_id_idx on public.threads (conversation_id, root_message_id);
-- The first 100,000 characters are found; more could exceed what a tsvector holds.
create index messages_text_idx on public.messages
  using gin (to_tsvector('simple'::regconfig, left(content, 100000)));

create table public.conversation_members (
  conversation_id uuid not null references public.conversations on delete cascade,
  user_id uuid not null references public.profiles on delete cascade,
  role text not null check (role in ('owner', 'writer', 'reader')),
  leaf_id uuid,
  created_at timestamptz not null default now(),
  primary key (conversation_id, user_id),
  -- The branch that this member looks at.
  foreign key (conversation_id, leaf_id) references public.messages (conversation_id, id)
    on delete set null (leaf_id)
);
create index conversation_members_user_id_idx on public.conversation_members (user_id, conversation_id);
create index conversation_members_leaf_id_idx on public.conversation_members (conversation_id, leaf_id);
create unique index conversation_members_owner_idx on public.conversation_members (conversation_id)
  where role = 'owner';

create table public.message_chunks (
  message_id uuid not null references public.messages on delete cascade,
  seq bigint not null check (seq > 0),
  kind text not null check (kind in ('text', 'reasoning', 'tool_call', 'done')),
  body jsonb not null,
  created_at timestamptz not null default now(),
  primary key (message_id, seq),
  check (kind not in ('text', 'reasoning') or jsonb_typeof(body) = 'string')
);

-- Which runtime writes an answer, and until when it has shown signs of life. A row for each answer in progress.
create table app.answers (
  message_id uuid primary key references public.messages on delete cascade,
  instance text not null check (char_length(instance) between 1 and 100),
  last_seq bigint not null default 0,
  heartbeat_at timestamptz not null default clock_timestamp(),
  stop_requested_at timestamptz
);
create index answers_instance_idx on app.answers (instance);

-- Membership ---------------------------------------------------------------------------------------------------------

-- True if the caller may read ('reader'), write ('writer') or govern ('owner') the conversation. Of a deleted one, its
-- owner alone may still see what would come back. Who may only read, writes nowhere.
create function app.is_member(conversation uuid, at_least text) returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (
    select
    from public.conversation_members member
    join public.conversations found on found.id = member.conversation_id
    where member.conversation_id = conversation
      and member.user_id = app.current_user_id()
      and case at_least
        when 'reader' then found.deleted_at is null or member.role = 'owner'
        when 'writer' then found.deleted_at is null and member.role in ('owner', 'writer') and app.can_write()
        when 'owner' then member.role = 'owner' and app.can_write()
        else false
      end
  )
$$;

-- The same for procedures, which say what is wrong. Who is no member does not learn that the conversation exists.
create function app.require_member(conversation uuid, at_least text) returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
begin
  if conversation is null or not app.is_member(conversation, 'reader') then
    perform app.fail('not_found', 'There is no such conversation');
  elsif at_least <> 'reader' then
    perform app.require_writer();
    if not app.is_member(conversation, at_least) then
      perform app.fail('forbidden', format('Cannot do this without being %s of the conversation',
        case at_least when 'owner' then 'the owner' else 'a writer' end));
    end if;
  end if;
  return account;
end
$$;

-- Row level security -------------------------------------------------------------------------------------------------

alter table public.conversations enable row level security;
alter table public.conversation_members enable row level security;
alter table public.threads enable row level security;
alter table public.messages enable row level security;
alter table public.message_chunks enable row level security;
alter table app.answers enable row level security;
create policy "procedures alone" on app.answers for all using (false);

revoke all on public.conversations, public.conversation_members, public.threads, public.messages,
  public.message_chunks, app.answers from public, anon, authenticated, service_role;
grant select, update (title, model, archived_at, pinned_at) on public.conversations to authenticated;
grant select, update (leaf_id) on public.conversation_members to authenticated;
grant select on public.threads, public.messages, public.message_chunks to authenticated;

create policy "members read" on public.conversations for select to authenticated
  using (app.is_member(id, 'reader'));
create policy "writers rename, pin and archive" on public.conversations for update to authenticated
  using (app.is_member(id, 'writer')) with check (app.is_member(id, 'writer'));
create policy "members see each other" on public.conversation_members for select to authenticated
  using (app.is_member(conversation_id, 'reader'));
create policy "members choose their branch" on public.conversation_members for update to authenticated
  using (user_id = (select app.current_user_id()) and (select app.can_write()))
  with check (user_id = (select app.current_user_id()));
create policy "members read" on public.threads for select to authenticated
  using (app.is_member(conversation_id, 'reader'));
create policy "members read" on public.messages for select to authenticated
  using (app.is_member(conversation_id, 'reader'));

-- Chunks name their message alone; the question is passed on to the conversation.
create function app.is_reader_of_message(message uuid) returns boolean
language sql stable security definer set search_path = '' as $$
  select app.is_member(found.conversation_id, 'reader') from public.messages found where found.id = message
$$;
create policy "members read" on public.message_chunks for select to authenticated
  using (app.is_reader_of_message(message_id));

revoke execute on all functions in schema app from public, anon, authenticated, service_role;
grant execute on function app.current_user_id(), app.can_write(), app.is_admin() to authenticated;
grant execute on function app.is_member(uuid, text), app.is_reader_of_message(uuid) to authenticated;
