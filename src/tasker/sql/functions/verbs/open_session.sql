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
#variable_conflict use_column
begin
  perform tasker_engine.require_read_committed();
  insert into tasker_engine.session_channels (session_id, channel_id)
  select _session, c.channel_id from tasker_engine.channels c
  where c.handler = any (_handlers) and (_queues is null or c.queue = any (_queues))
  on conflict do nothing;
  return query select c.channel_id, c.handler from tasker_engine.session_channels sc
  join tasker_engine.channels c on c.channel_id = sc.channel_id where sc.session_id = _session;
end $$;
