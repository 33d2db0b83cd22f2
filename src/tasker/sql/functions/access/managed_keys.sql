-- API keys as callers of the API see and make them. They run with their owner's rights, for nobody else reads or writes the table;
-- of a confined caller they ask whether it reaches every namespace of the key. None shows a digest. `_maker` is the key that the
-- caller holds, null for other callers: a key makes none that may more, or lives longer, than itself. What it may by its
-- permissions the server has looked at; what a role may changes, so a key gives a role only if it has it itself.

-- reaches_key: whether the caller may know of a key of these namespaces.
create or replace function tasker_engine.reaches_key(_namespaces text[]) returns boolean language sql stable as $$
  select not tasker_engine.is_confined()
    or coalesce(cardinality(_namespaces) > 0 and _namespaces <@ tasker_engine.reached_names(), false)
$$;

-- list_reached_keys: as list_api_keys, of the keys that the caller may know of; _behind is the last id of the page before.
create or replace function tasker_engine.list_reached_keys(
  _only_live boolean, _limit int, _behind text default null, _key_ids text[] default null, _now timestamptz default null)
returns table (
  key_id text, name text, secret_name text, permissions text[], roles text[], namespaces text[], created_at timestamptz,
  created_by text, expires_at timestamptz, revoked_at timestamptz, revoked_by text, replaces text, last_used_at timestamptz,
  state text) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select l.* from tasker_engine.list_api_keys(_only_live, null, _now) l
  where tasker_engine.reaches_key(l.namespaces) and (_key_ids is null or l.key_id = any (_key_ids))
    and (_behind is null or exists (
      select from tasker_engine.api_keys b where b.key_id = _behind and (l.created_at, b.key_id) < (b.created_at, l.key_id)))
  order by l.created_at desc, l.key_id limit _limit;
end $$;

-- key_end: when a key that is made now by _maker ends: as it is asked, or, where _is_default, no later than its maker. Refuses
-- what the maker may not give.
create or replace function tasker_engine.key_end(
  _maker text, _roles text[], _namespaces text[], _expires_at timestamptz, _is_default boolean, _now timestamptz)
returns timestamptz language plpgsql as $$
declare
  maker tasker_engine.api_keys;
  ends timestamptz;
begin
  if not tasker_engine.reaches_key(_namespaces) then
    raise exception 'the caller does not reach all namespaces of the key' using errcode = 'TK016';
  end if;
  if _maker is null then
    return _expires_at;
  end if;
  select * into maker from tasker_engine.api_keys k where k.key_id = _maker for share;
  ends := least(maker.expires_at, maker.revoked_at);
  if maker.key_id is null or ends <= _now then
    raise exception 'the API key % has ended', _maker using errcode = 'TK016';
  elsif not _roles <@ maker.roles then
    raise exception 'the API key % gives no role that it has not itself', _maker using errcode = 'TK016', hint = 'name permissions';
  elsif maker.namespaces is not null and not coalesce(_namespaces <@ maker.namespaces, false) then
    raise exception 'the API key % does not reach all of these namespaces', _maker using errcode = 'TK016';
  elsif _is_default then
    return least(_expires_at, ends);
  elsif ends < coalesce(_expires_at, 'infinity') then
    raise exception 'the API key % makes none that outlives it: it ends at %', _maker, ends using errcode = 'TK016';
  end if;
  return _expires_at;
end $$;

-- issue_api_key: makes a key; answers when it ends. The same again does nothing; an id with another secret is refused.
create or replace function tasker_engine.issue_api_key(
  _key_id text, _name text, _digest bytea, _secret_name text, _permissions text[], _roles text[], _namespaces text[],
  _expires_at timestamptz, _is_default boolean, _actor text, _maker text, _now timestamptz default null)
returns timestamptz language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known tasker_engine.api_keys;
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(hashtextextended('api key ' || _key_id, 0));
  _now := tasker_engine.clock(_now);
  select * into known from tasker_engine.api_keys k where k.key_id = _key_id;
  if known.key_id is not null and known.digest = _digest then
    return known.expires_at;
  elsif known.key_id is not null then
    raise exception 'there is an API key % already, and its secret is not shown again', _key_id using errcode = 'TK012',
      hint = 'revoke it, and make another';
  end if;
  _expires_at := tasker_engine.key_end(_maker, _roles, _namespaces, _expires_at, _is_default, _now);
  perform tasker_engine.create_api_key(_key_id, _name, _digest, _secret_name, _permissions, _roles, _namespaces, _expires_at, _actor);
  return _expires_at;
end $$;

-- reissue_api_key: makes a key in place of _replaced, which ends after _grace_s; answers when the new one ends. Null: there is none.
create or replace function tasker_engine.reissue_api_key(
  _replaced text, _key_id text, _digest bytea, _secret_name text, _expires_at timestamptz, _is_default boolean, _grace_s float8,
  _actor text, _maker text, _now timestamptz default null, out is_known boolean, out expires_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  old tasker_engine.api_keys;
  known tasker_engine.api_keys;
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(hashtextextended('api key ' || _key_id, 0));
  _now := tasker_engine.clock(_now);
  select * into old from tasker_engine.api_keys k where k.key_id = _replaced for update;
  is_known := old.key_id is not null and tasker_engine.reaches_key(old.namespaces);
  select * into known from tasker_engine.api_keys k where k.key_id = _key_id;
  if not is_known then
    return;
  elsif known.digest = _digest then
    expires_at := known.expires_at;
    return;
  elsif known.key_id is not null then
    raise exception 'there is an API key % already, and its secret is not shown again', _key_id using errcode = 'TK012',
      hint = 'revoke it, and make another';
  end if;
  expires_at := tasker_engine.key_end(_maker, old.roles, old.namespaces, _expires_at, _is_default, _now);
  if not tasker_engine.rotate_api_key(_replaced, _key_id, _digest, _secret_name, expires_at, _grace_s, _actor) then
    raise exception 'the API key % has ended, or another has taken its place', _replaced using errcode = 'TK012';
  end if;
end $$;

-- end_api_key: as revoke_api_key, for a key that the caller may know of.
create or replace function tasker_engine.end_api_key(_key_id text, _actor text, _grace_s float8) returns boolean language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from tasker_engine.api_keys k where k.key_id = _key_id and tasker_engine.reaches_key(k.namespaces)) then
    return false;
  end if;
  return tasker_engine.revoke_api_key(_key_id, _actor, _grace_s);
end $$;
