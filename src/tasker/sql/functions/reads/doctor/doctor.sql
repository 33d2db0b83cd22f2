-- doctor: what in the engine's tables does not agree; with _repair it is mended, under the locks of the tasks, for which it
-- waits. At most _most faults of each kind are looked at in one call: repeat it until nothing is repaired.
--
-- Answers one row a check: its name, whether all is well, what is wrong, and how many faults were repaired.
create or replace function tasker_engine.doctor(_repair boolean default false, _most int default 1000, _now timestamptz default null)
returns table (name text, ok boolean, detail text, repaired int)
language plpgsql
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
declare
  kind text;
  faults record;
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  foreach kind in array array['waiting', 'stuck', 'ready', 'due', 'grants', 'batches', 'counters'] loop
    select count(*) as count, array_agg(distinct f.task_id) as task_ids, min(f.said) as said into faults
    from (select * from tasker_engine.faults(kind) limit _most) f;
    repaired := 0;
    if _repair and faults.count > 0 then
      repaired := tasker_engine.repair(kind, tasker_engine.lock_tasks(faults.task_ids, true), _now);
    end if;
    name := tasker_engine.fault_name(kind);
    ok := faults.count = 0;
    detail := case when ok then 'as the steps say' else faults.count || ' wrong, such as ' || faults.said end;
    return next;
  end loop;
  return query select * from tasker_engine.check_fleet(_repair, _now);
end $$;

create or replace function tasker_engine.fault_name(_kind text) returns text language sql immutable as $$
  select case _kind
    when 'waiting' then 'parents that steps wait for'
    when 'stuck' then 'steps that wait for nobody are ready'
    when 'ready' then 'ready steps lie in a lane'
    when 'due' then 'postponed steps have a time'
    when 'grants' then 'running steps belong to a session'
    when 'batches' then 'batches go on'
    else 'counters and states of tasks'
  end
$$;

-- faults: those of one kind, with the task, and what is wrong in words.
create or replace function tasker_engine.faults(_kind text) returns table (task_id uuid, said text) language plpgsql stable as $$
begin
  if _kind = 'waiting' then
    return query select w.task_id, format('step %s of task %s waits for %s, not %s', w.number, w.task_id, w.is_right, w.waiting)
    from tasker_engine.wrong_waiting(null) w;
  elsif _kind = 'stuck' then
    return query select w.task_id, format('step %s of task %s', w.number, w.task_id) from tasker_engine.stuck_steps(null) w;
  elsif _kind = 'ready' then
    return query select w.task_id, format('step %s of task %s', w.number, w.task_id) from tasker_engine.lost_ready(null) w;
  elsif _kind = 'due' then
    return query select w.task_id, format('step %s of task %s', w.number, w.task_id) from tasker_engine.lost_due(null) w;
  elsif _kind = 'grants' then
    return query select w.task_id, format('step %s of task %s', w.number, w.task_id) from tasker_engine.lost_grants(null) w;
  elsif _kind = 'batches' then
    return query select w.task_id, format('batch %s of task %s, of which %s run, %s succeeded and %s failed', w.number, w.task_id,
      w.running, w.succeeded, w.failed) from tasker_engine.wrong_batches(null) w;
  else
    return query select w.task_id, format('task %s, which is %s with %s open, %s live, %s due and %s failed', w.task_id, w.state,
      w.open, w.live, w.due, w.failed) from tasker_engine.wrong_counters(null) w;
  end if;
end $$;

-- check_fleet: whether what should move, moves: the sweep, the sessions, the work that waits for a handler.
create or replace function tasker_engine.check_fleet(_repair boolean, _now timestamptz)
returns table (name text, ok boolean, detail text, repaired int) language plpgsql as $$
begin
  return query
  select 'the sweep runs', not exists (select from tasker_engine.sessions s where s.ended_at is null)
      or w.swept_at > _now - interval '1 minute',
    case when w.swept_at = 'epoch' then 'it never ran; workers run it'
         else 'it ran ' || round(extract(epoch from _now - w.swept_at)) || ' s ago' end, 0
  from tasker_engine.sweeps w;
  return query
  with late as (
    select s.session_id from tasker_engine.sessions s where s.ended_at < _now - interval '30 seconds'
      and exists (select from tasker_engine.held_steps(s.session_id)))
  select 'ended sessions hold no steps', count(*) = 0,
    case when count(*) = 0 then 'none does' else count(*) || ' that ended more than 30 s ago do: the sweep frees them' end,
    coalesce(sum(case when _repair then tasker_engine.release_session(l.session_id, 1000, _now) end), 0)::int
  from late l;
  return query
  select 'ready steps have a worker', count(c.*) = 0 or not w.is_any,
    case when count(c.*) = 0 then 'every channel with work is served'
      when not w.is_any then sum(c.ready) || ' ready, and no worker runs'
      else string_agg(format('%s ready for handler "%s" in queue "%s", which no worker has', c.ready, c.handler, c.queue), '; ')
    end, 0
  from (select exists (select from tasker_engine.sessions s where s.ended_at is null) as is_any) w
  left join tasker_engine.read_channels(1000, _now) c on c.ready > 0 and c.sessions = 0
  group by w.is_any;
end $$;
