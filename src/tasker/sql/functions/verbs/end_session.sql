-- end_session: ends a session, once and for ever. What it holds is released: by this call, as far as nobody else works on
-- those tasks, and by the sweep. _is_loss: its process died, or was silent for too long; steps it held are suspects then.
-- A server process that still works for the session (its client reads no more) is terminated, so that it holds no locks.
create or replace function tasker_engine.end_session(
  _session int, _reason text, _is_loss boolean, _now timestamptz default null) returns int language plpgsql as $$
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  update tasker_engine.sessions set ended_at = _now, end_reason = _reason, is_loss = _is_loss
  where session_id = _session and ended_at is null;
  if found then
    perform pg_terminate_backend(l.pid) from pg_locks l
    where l.locktype = 'advisory' and l.classid = tasker_engine.session_lock_class() and l.objid = _session
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.granted and l.pid <> pg_backend_pid();
  end if;
  return tasker_engine.release_session(_session, 100, _now);
end $$;
