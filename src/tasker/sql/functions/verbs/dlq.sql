-- add_to_dlq: an entry made by hand (reason manual_dlq). A repeat with the same id answers the same; a task of which an entry is
-- pending answers that one.
create or replace function tasker_engine.add_to_dlq(
  _entry_id uuid, _task_id uuid, _actor text, _notes text default null, _metadata jsonb default null, _now timestamptz default null)
returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.require_task(_task_id);
  if exists (select from tasker_engine.dlq d where d.entry_id = _entry_id and d.task_id = _task_id) then
    return _entry_id;
  end if;
  if not exists (select from tasker_engine.tasks t where t.task_id = _task_id) then
    raise exception 'there is no task %', _task_id using errcode = 'TK010';
  end if;
  perform tasker_engine.dlq_lock(_task_id, true);
  return tasker_engine.put_in_dlq(_entry_id, _task_id, 'manual_dlq', _actor, _notes, coalesce(_metadata, '{}'), tasker_engine.clock(_now));
end $$;

-- update_dlq: what an investigation has come to. Null leaves as it is: _status (pending opens the entry again), _notes,
-- _assigned_to ('' is nobody), _metadata (its keys are put beside those that are there). Each is recorded with its actor.
create or replace function tasker_engine.update_dlq(
  _entry_id uuid, _actor text, _status text default null, _notes text default null, _assigned_to text default null,
  _metadata jsonb default null, _now timestamptz default null) returns void language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry tasker_engine.dlq := tasker_engine.hold_dlq(_entry_id);
begin
  _now := tasker_engine.clock(_now);
  if _status is not null and _status not in ('pending', 'manually_resolved', 'permanently_failed', 'cancelled') then
    raise exception 'there is no status "%": it is one of pending, manually_resolved, permanently_failed, cancelled', _status
      using errcode = 'TK008';
  end if;
  if _status = 'pending' and entry.status <> 'pending' and exists (
      select from tasker_engine.dlq d where d.task_id = entry.task_id and d.status = 'pending') then
    raise exception 'another entry of task % is pending', entry.task_id using errcode = 'TK012';
  end if;
  update tasker_engine.dlq d
  set status = coalesce(_status, d.status), notes = coalesce(_notes, d.notes), updated_at = _now,
    assigned_to = case when _assigned_to is null then d.assigned_to else nullif(_assigned_to, '') end,
    metadata = d.metadata || coalesce(_metadata, '{}'),
    resolved_by = case when _status = 'pending' then null when _status <> d.status then _actor else d.resolved_by end,
    resolved_at = case when _status = 'pending' then null when _status <> d.status then _now else d.resolved_at end
  where d.entry_id = _entry_id;
  perform tasker_engine.note_dlq(_entry_id, _actor, case
      when _status = 'pending' and entry.status <> 'pending' then 'reopened'
      when _status <> entry.status then 'resolved'
      when _assigned_to is not null then 'assigned'
      when _notes is not null then 'noted' else 'updated' end,
    jsonb_strip_nulls(jsonb_build_object('status', _status, 'notes', _notes, 'assigned_to', _assigned_to, 'metadata', _metadata)), _now);
end $$;

-- requeue_dlq: tries every failed step of the entry's task again (or, where none failed, those that wait for a retry, now), and
-- resolves the entry. Who and why is recorded for each step. Answers how many steps; a repeat with the same id the same.
create or replace function tasker_engine.requeue_dlq(
  _entry_id uuid, _act_id uuid, _actor text, _reason text default null, _now timestamptz default null) returns int language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  task uuid := (select d.task_id from tasker_engine.dlq d where d.entry_id = _entry_id);
  entry tasker_engine.dlq;
  known jsonb;
  retried int;
begin
  perform tasker_engine.require_read_committed();
  perform tasker_engine.require_entry(_entry_id);
  perform pg_advisory_xact_lock(hashtextextended(_act_id::text, 0));
  select a.answer into known from tasker_engine.acts a where a.act_id = _act_id;
  if found then
    return (known ->> 'steps')::int;
  end if;
  perform from tasker_engine.tasks t where t.task_id = task for no key update;
  entry := tasker_engine.hold_dlq(_entry_id);
  _now := tasker_engine.clock(_now);
  retried := tasker_engine.retry_all(task, _act_id, _actor, _reason, _now);
  if retried = 0 then
    raise exception 'task % has no step that failed or waits for a retry: there is nothing to requeue', task using errcode = 'TK012';
  end if;
  update tasker_engine.dlq d set status = 'manually_resolved', resolved_by = _actor, resolved_at = _now, updated_at = _now
  where d.entry_id = _entry_id and d.status = 'pending';
  perform tasker_engine.note_dlq(_entry_id, _actor, 'requeued',
    jsonb_strip_nulls(jsonb_build_object('act_id', _act_id, 'reason', _reason, 'steps', retried)), _now);
  insert into tasker_engine.acts (act_id, task_id, action, actor, reason, at, answer)
  values (_act_id, task, 'requeue', _actor, _reason, _now, jsonb_build_object('steps', retried));
  return retried;
end $$;

-- retry_all: retries each step of a task that failed, or, where none did, each that waits for its retry. Answers how many. The
-- caller holds the task's row. The id of each step's act follows from _act_id.
create or replace function tasker_engine.retry_all(_task_id uuid, _act_id uuid, _actor text, _reason text, _now timestamptz)
returns int language plpgsql as $$
declare
  retried int := tasker_engine.retry_failed(_task_id, _act_id, _actor, _reason, _now);
begin
  return case when retried > 0 then retried
    else tasker_engine.retry_in_state(_task_id, 'waiting_for_retry', _act_id, _actor, _reason, _now) end;
end $$;

-- retry_failed: the same for steps that failed alone.
create or replace function tasker_engine.retry_failed(_task_id uuid, _act_id uuid, _actor text, _reason text, _now timestamptz)
returns int language plpgsql as $$
begin
  return tasker_engine.retry_in_state(_task_id, 'error', _act_id, _actor, _reason, _now);
end $$;

-- retry_in_state: for steps in one state. Members of a batch come before the batch itself, which has failed for them: it needs no
-- retry once they are mended.
create or replace function tasker_engine.retry_in_state(
  _task_id uuid, _state tasker_engine.state, _act_id uuid, _actor text, _reason text, _now timestamptz) returns int language plpgsql as $$
declare
  step int;
  retried int := 0;
begin
  for step in
    select s.number from tasker_engine.steps s where s.task_id = _task_id and s.state = _state order by s.number >= 65536 desc, s.number
  loop
    continue when not exists (select from tasker_engine.steps s where s.task_id = _task_id and s.number = step and s.state = _state);
    perform tasker_engine.act(md5(_act_id::text || _task_id || step)::uuid, 'retry', _task_id, step, null, null, _actor, _reason, null,
      tasker_engine.given_time(_now));
    retried := retried + 1;
  end loop;
  return retried;
end $$;

-- given_time: a time to hand on to another verb: null where the clock is not a test's.
create or replace function tasker_engine.given_time(_now timestamptz) returns timestamptz language sql stable as $$
  select case when coalesce(current_setting('tasker.test_clock', true), 'off') = 'on' then _now end
$$;

-- hold_dlq: an entry, with its row and those of its task's other entries held.
create or replace function tasker_engine.hold_dlq(_entry_id uuid) returns tasker_engine.dlq language plpgsql as $$
declare
  entry tasker_engine.dlq;
begin
  perform tasker_engine.require_entry(_entry_id);
  select * into entry from tasker_engine.dlq d where d.entry_id = _entry_id for no key update;
  if not found then
    raise exception 'there is no entry % in the dead letter queue', _entry_id using errcode = 'TK020', hint = '`tasker dlq list` shows those that there are';
  end if;
  return entry;
end $$;

-- note_dlq: one more line in an entry's history. The caller holds the entry.
create or replace function tasker_engine.note_dlq(_entry_id uuid, _actor text, _action text, _detail jsonb, _now timestamptz)
returns void language sql as $$
  insert into tasker_engine.dlq_events (entry_id, seq, at, actor, action, detail)
  select _entry_id, coalesce(max(e.seq), 0) + 1, _now, _actor, _action, _detail from tasker_engine.dlq_events e where e.entry_id = _entry_id
$$;
