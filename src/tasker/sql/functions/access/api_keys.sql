-- API keys: made, found, listed, marked as used, revoked. None of these sees a secret; the server compares digests.

-- create_api_key: makes a key; with _replaces, one that takes the place of that other.
create or replace function tasker_engine.create_api_key(
  _key_id text, _name text, _digest bytea, _secret_name text, _permissions text[], _roles text[], _namespaces text[],
  _expires_at timestamptz, _actor text, _replaces text default null, _now timestamptz default null)
returns void language plpgsql as $$
begin
  insert into tasker_engine.api_keys
    (key_id, name, digest, secret_name, permissions, roles, namespaces, created_at, created_by, expires_at, replaces)
  values (_key_id, _name, _digest, _secret_name, _permissions, _roles, _namespaces, tasker_engine.clock(_now), _actor,
    _expires_at, _replaces);
end $$;

-- find_api_key: what the server needs to let a caller in, or no row. Times are seconds from now: the server's clock is its own.
create or replace function tasker_engine.find_api_key(_key_id text, _now timestamptz default null)
returns table (
  name text, digest bytea, secret_name text, permissions text[], roles text[], namespaces text[], expires_in_s float8,
  is_revoked boolean, unused_s float8) language plpgsql stable as $$
#variable_conflict use_column
begin
  _now := tasker_engine.clock(_now);
  return query
  select k.name, k.digest, k.secret_name, k.permissions, k.roles, k.namespaces, extract(epoch from k.expires_at - _now)::float8,
    k.revoked_at is not null and k.revoked_at <= _now, extract(epoch from _now - k.last_used_at)::float8
  from tasker_engine.api_keys k where k.key_id = _key_id;
end $$;

-- list_api_keys: all keys, newest first; only those that still open a door where _only_live says so.
create or replace function tasker_engine.list_api_keys(_only_live boolean, _limit int, _now timestamptz default null)
returns table (
  key_id text, name text, secret_name text, permissions text[], roles text[], namespaces text[], created_at timestamptz,
  created_by text, expires_at timestamptz, revoked_at timestamptz, revoked_by text, replaces text, last_used_at timestamptz,
  state text) language plpgsql stable as $$
#variable_conflict use_column
begin
  _now := tasker_engine.clock(_now);
  return query
  select k.key_id, k.name, k.secret_name, k.permissions, k.roles, k.namespaces, k.created_at, k.created_by, k.expires_at,
    k.revoked_at, k.revoked_by, k.replaces, k.last_used_at,
    case when k.revoked_at <= _now then 'revoked' when k.expires_at <= _now then 'expired' when k.revoked_at > _now then 'ending'
      else 'live' end
  from tasker_engine.api_keys k
  where not _only_live or (coalesce(k.revoked_at, 'infinity') > _now and coalesce(k.expires_at, 'infinity') > _now)
  order by k.created_at desc, k.key_id limit _limit;
end $$;

-- touch_api_key: notes that a key was used. Servers call it once a minute and key, so a note that is as fresh is left alone.
create or replace function tasker_engine.touch_api_key(_key_id text, _every_s float8, _now timestamptz default null)
returns void language plpgsql as $$
begin
  _now := tasker_engine.clock(_now);
  update tasker_engine.api_keys set last_used_at = _now
  where key_id = _key_id and coalesce(last_used_at, '-infinity') < _now - make_interval(secs => _every_s);
end $$;

-- revoke_api_key: ends a key now, or after _grace_s (when another has taken its place). An end that is nearer stays. Answers
-- whether there is such a key.
create or replace function tasker_engine.revoke_api_key(
  _key_id text, _actor text, _grace_s float8 default 0, _now timestamptz default null) returns boolean language plpgsql as $$
begin
  _now := tasker_engine.clock(_now);
  update tasker_engine.api_keys set revoked_at = _now + make_interval(secs => _grace_s), revoked_by = _actor
  where key_id = _key_id and coalesce(revoked_at, 'infinity') > _now + make_interval(secs => _grace_s);
  return found or exists (select from tasker_engine.api_keys where key_id = _key_id);
end $$;

-- rotate_api_key: a key that may what _replaced may, which ends after _grace_s. Answers whether that is a key that is still live.
create or replace function tasker_engine.rotate_api_key(
  _replaced text, _key_id text, _digest bytea, _secret_name text, _expires_at timestamptz, _grace_s float8, _actor text,
  _now timestamptz default null) returns boolean language plpgsql as $$
begin
  perform from tasker_engine.api_keys where key_id = _replaced for update;
  _now := tasker_engine.clock(_now);
  insert into tasker_engine.api_keys
    (key_id, name, digest, secret_name, permissions, roles, namespaces, created_at, created_by, expires_at, replaces)
  select _key_id, old.name, _digest, _secret_name, old.permissions, old.roles, old.namespaces, _now, _actor, _expires_at, _replaced
  from tasker_engine.api_keys old
  where old.key_id = _replaced and old.revoked_at is null and coalesce(old.expires_at, 'infinity') > _now;
  if not found then
    return false;
  end if;
  update tasker_engine.api_keys set revoked_at = _now + make_interval(secs => _grace_s), revoked_by = _actor where key_id = _replaced;
  return true;
end $$;
