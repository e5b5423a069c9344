-- The list of conversations, and the search in it. Under row level security an index on text cannot be used (its
-- operators could leak what they compare), so that this procedure asks for membership itself.

-- The caller's conversations, latest activity first. The cursor of the next page is the last row's (updated_at, id).
-- With `search`: those with the text in their title, or all of its words in one message (as websearch_to_tsquery reads
-- them), with the latest such message and a piece of it.
create function app.list_conversations(
  search text default null, archived boolean default null, pinned boolean default null, deleted boolean default false,
  before_at timestamptz default null, before_id uuid default null, row_limit integer default 50
) returns table (
  id uuid, owner_id uuid, role text, title text, model text, root_thread_id uuid, leaf_id uuid,
  archived_at timestamptz, pinned_at timestamptz, deleted_at timestamptz, created_at timestamptz,
  updated_at timestamptz, found_message_id uuid, snippet text
) language plpgsql stable security definer set search_path = '' as $$
declare
  account uuid := app.require_account();
  wanted text := nullif(trim(search), '');
  words tsquery := websearch_to_tsquery('simple', left(wanted, 500));
  pattern text := '%' || replace(replace(replace(left(wanted, 500), '\', '\\'), '%', '\%'), '_', '\_') || '%';
  page_size integer := least(greatest(row_limit, 1), 500);
begin
  return query
    with matches as materialized (
      -- Ids are in the order of time: the greatest is the latest.
      select message.conversation_id, max(message.id::text)::uuid as message_id
      from public.messages message
      join public.conversation_members member
        on member.conversation_id = message.conversation_id and member.user_id = account
      where wanted is not null and message.deleted_at is null
        and to_tsvector('simple'::regconfig, left(message.content, 100000)) @@ words
      group by message.conversation_id
    ),
    -- Two sorted halves, each from an index: what the caller owns, and what is shared with it.
    owned as (
      select found.*, 'owner' as member_role
      from public.conversations found
      where found.owner_id = account
        and (found.deleted_at is not null) = deleted
        and (archived is null or (found.archived_at is not null) = archived)
        and (pinned is null or (found.pinned_at is not null) = pinned)
        and (before_at is null or (found.updated_at, found.id) < (before_at, before_id))
        and (wanted is null or found.title ilike pattern
          or found.id in (select matches.conversation_id from matches))
      order by found.updated_at desc, found.id desc
      limit page_size
    ),
    shared as (
      select found.*, member.role as member_role
      from public.conversation_members member
      join public.conversations found on found.id = member.conversation_id
      where member.user_id = account and member.role <> 'owner' and not deleted
        and found.deleted_at is null
        and (archived is null or (found.archived_at is not null) = archived)
        and (pinned is null or (found.pinned_at is not null) = pinned)
        and (before_at is null or (found.updated_at, found.id) < (before_at, before_id))
        and (wanted is null or found.title ilike pattern
          or found.id in (select matches.conversation_id from matches))
      order by found.updated_at desc, found.id desc
      limit page_size
    ),
    page as (
      select * from (select * from owned union all select * from shared) both_halves
      order by both_halves.updated_at desc, both_halves.id desc
      limit page_size
    )
    select page.id, page.owner_id, page.member_role, page.title, page.model, page.root_thread_id, member.leaf_id,
      page.archived_at, page.pinned_at, page.deleted_at, page.created_at, page.updated_at, matches.message_id,
      case when matches.message_id is not null then ts_headline('simple'::regconfig, left(message.content, 20000),
        words, 'StartSel="", StopSel="", MaxWords=25, MinWords=10') end
    from page
    join public.conversation_members member on member.conversation_id = page.id and member.user_id = account
    left join matches on matches.conversation_id = page.id
    left join public.messages message on message.id = matches.message_id
    order by page.updated_at desc, page.id desc;
end
$$;

revoke execute on function
  app.list_conversations(text, boolean, boolean, boolean, timestamptz, uuid, integer)
  from public, anon, authenticated, service_role;
grant execute on function
  app.list_conversations(text, boolean, boolean, boolean, timestamptz, uuid, integer) to authenticated;
