-- end_process: a process that has died: its sessions end at once, as lost (or, where it was stopped on purpose, not).
-- Answers how many of its steps were released.
create or replace function tasker_engine.end_process(_host text, _pid int, _reason text, _is_loss boolean)
returns int language plpgsql as $$
declare
  released int := 0;
  dead int;
begin
  for dead in select s.session_id from tasker_engine.sessions s where s.host = _host and s.pid = _pid and s.ended_at is null loop
    released := released + tasker_engine.end_session(dead, _reason, _is_loss);
  end loop;
  return released;
end $$;

-- live_processes: the processes of a host that have living sessions.
create or replace function tasker_engine.live_processes(_host text) returns setof int language sql stable as $$
  select distinct s.pid from tasker_engine.sessions s where s.host = _host and s.ended_at is null
$$;
