-- Who may: API keys, and the role under which the server asks for callers that are confined to namespaces.
--
-- Of a key's secret there is a digest only. `secret_name` says which of the server's secrets it was keyed with. `namespaces`
-- null: all. A key that was replaced or revoked stays, for the history that names it.
create table tasker_engine.api_keys (
  key_id text primary key,
  name text not null check (name <> ''),
  digest bytea not null check (octet_length(digest) = 32),
  secret_name text not null,
  permissions text[] not null,
  roles text[] not null,
  namespaces text[],
  created_at timestamptz not null,
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  revoked_by text,
  replaces text references tasker_engine.api_keys,
  last_used_at timestamptz) with (fillfactor = 70);
