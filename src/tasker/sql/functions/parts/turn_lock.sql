-- turn_lock: one turn of a session at a time. It waits only for a turn of the same session whose reply was lost; the lock
-- also tells the sweep which server process works for a session. False: the session has ended.
create or replace function tasker_engine.turn_lock(_session int) returns boolean language plpgsql as $$
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(tasker_engine.session_lock_class(), _session);
  perform from tasker_engine.sessions where session_id = _session and ended_at is null;
  return found;
end $$;

-- begin_turn: the same for the calls that hand out steps. Answers 0 where the session has ended, 1, or 2 where it is guarded: one
-- of its channels belongs to a breaker, or is paused. The others are spared to look. 3: an operator has paused or drains the
-- session itself; it is handed nothing. (Where nothing is to be done, no statement runs: a condition costs a tenth of one.)
create or replace function tasker_engine.begin_turn(_session int) returns int language plpgsql as $$
declare
  is_guarded boolean;
  wanted text;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform tasker_engine.require_read_committed();
  end if;
  if not pg_try_advisory_xact_lock(tasker_engine.session_lock_class(), _session) then
    perform pg_advisory_xact_lock(tasker_engine.session_lock_class(), _session);
  end if;
  select s.is_guarded, s.wanted into is_guarded, wanted from tasker_engine.sessions s where s.session_id = _session and s.ended_at is null;
  return case when not found then 0 when wanted is not null then 3 when is_guarded then 2 else 1 end;
end $$;

-- session_lock_class: keeps the sessions of one schema apart from those of another in the same database.
create or replace function tasker_engine.session_lock_class() returns int language sql immutable as $$
  select hashtext('tasker_engine sessions')
$$;
