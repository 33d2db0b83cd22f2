-- open_session: begins a session (one start of one worker process). A repeat with the same uuid answers the same session.
-- Living sessions of the same host whose process is gone are the caller's to end, by end_session.
create or replace function tasker_engine.open_session(
  _session_uuid uuid, _name text, _host text, _pid int, _lease_s double precision, _now timestamptz default null)
returns int language plpgsql as $$
declare id int;
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  insert into tasker_engine.sessions (session_uuid, name, host, pid, lease_s, started_at, beat_at)
  values (_session_uuid, _name, _host, _pid, _lease_s, _now, _now)
  on conflict (session_uuid) do nothing returning session_id into id;
  if id is null then
    select session_id into id from tasker_engine.sessions where session_uuid = _session_uuid;
  end if;
  return id;
end $$;

-- serve: announces what a session serves: these handlers, in these queues (null: all). Answers their channels, and which of
-- them new tasks begin in; to be called again when templates were published.
create or replace function tasker_engine.serve(_session int, _handlers text[], _queues text[])
returns table (channel_id int, handler text) language plpgsql as $$
begin
  return query select * from tasker_engine.serve_guarded(_session, _handlers, null, _queues);
end $$;

-- serve_guarded: the same by handlers that say which outside system each depends on ('': none; no array: they say nothing). Where
-- a template says nothing, the newest session's handler decides which breaker a channel belongs to.
create or replace function tasker_engine.serve_guarded(
  _session int, _handlers text[], _system_dependencies text[], _queues text[])
returns table (channel_id int, handler text) language plpgsql as $$
#variable_conflict use_column
declare new int[];
begin
  perform tasker_engine.require_read_committed();
  perform tasker_engine.make_breakers(_system_dependencies);
  with added as (
    insert into tasker_engine.session_channels (session_id, channel_id)
    select _session, c.channel_id from tasker_engine.channels c
    where c.handler = any (_handlers) and (_queues is null or c.queue = any (_queues))
    on conflict do nothing
    returning channel_id)
  select array_agg(a.channel_id) into new from added a;
  if new is not null then
    perform tasker_engine.guard_channels(new, _handlers, _system_dependencies);
    perform tasker_engine.guard_sessions(new);
  end if;
  return query select c.channel_id, c.handler from tasker_engine.session_channels sc
  join tasker_engine.channels c on c.channel_id = sc.channel_id where sc.session_id = _session;
end $$;

-- guard_channels: gives channels to the breakers that handlers name, where the template names none.
create or replace function tasker_engine.guard_channels(_channels int[], _handlers text[], _system_dependencies text[])
returns void language plpgsql as $$
begin
  with differing as (
    select c.channel_id, b.breaker_id
    from tasker_engine.channels c
    left join tasker_engine.breakers b on b.name = _system_dependencies[array_position(_handlers, c.handler)]
    where c.channel_id = any (_channels) and c.system_dependency = '' and _system_dependencies is not null
      and c.breaker_id is distinct from b.breaker_id
    order by c.channel_id for no key update of c)
  update tasker_engine.channels c set breaker_id = d.breaker_id from differing d where c.channel_id = d.channel_id;
end $$;

-- guard_sessions: those that serve one of these channels look at breakers and pauses from now on, if the channel belongs to a
-- breaker, or is paused.
create or replace function tasker_engine.guard_sessions(_channels int[]) returns void language plpgsql as $$
declare
  paused int[] := tasker_engine.paused_channels();
begin
  perform from tasker_engine.sessions s
  where s.ended_at is null and not s.is_guarded and s.session_id in (
    select sc.session_id from tasker_engine.session_channels sc join tasker_engine.channels c on c.channel_id = sc.channel_id
    where (c.breaker_id is not null or c.channel_id = any (paused)) and sc.channel_id = any (_channels))
  order by s.session_id for no key update of s;
  update tasker_engine.sessions s set is_guarded = true
  where s.ended_at is null and not s.is_guarded and s.session_id in (
    select sc.session_id from tasker_engine.session_channels sc join tasker_engine.channels c on c.channel_id = sc.channel_id
    where (c.breaker_id is not null or c.channel_id = any (paused)) and sc.channel_id = any (_channels));
end $$;
