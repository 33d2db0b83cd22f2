-- turn_lock: one turn of a session at a time. It waits only for a turn of the same session whose reply was lost; the lock
-- also tells the sweep which server process works for a session. False: the session has ended.
create or replace function tasker_engine.turn_lock(_session int) returns boolean language plpgsql as $$
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(tasker_engine.session_lock_class(), _session);
  perform from tasker_engine.sessions where session_id = _session and ended_at is null;
  return found;
end $$;

-- session_lock_class: keeps the sessions of one schema apart from those of another in the same database.
create or replace function tasker_engine.session_lock_class() returns int language sql immutable as $$
  select hashtext('tasker_engine sessions')
$$;
