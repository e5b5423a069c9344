-- The runtime hashes a password anew when it knows it and the hash was made with other parameters. Nothing else changes:
-- no session ends, and a password that was changed meanwhile stays.
create or replace function app.renew_password_hash(user_id uuid, old_hash text, new_hash text) returns void
language sql security definer set search_path = '' as $$
  update auth.users set encrypted_password = new_hash
  where id = renew_password_hash.user_id and encrypted_password = old_hash and coalesce(new_hash, '') <> ''
$$;

revoke execute on function app.renew_password_hash(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function app.renew_password_hash(uuid, text, text) to anon;
