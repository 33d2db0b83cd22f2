-- fill_dlq: makes entries for tasks of which a step has failed for good, as `failures` names them: for lack of retries, or of a
-- worker. A step that failed because trying again cannot help needs none. A task in which nothing can move although nothing
-- failed has steps that wait for each other. Answers how many tasks it judged.
create or replace function tasker_engine.fill_dlq(_most int, _now timestamptz) returns int language plpgsql
set enable_indexscan = on set enable_hashjoin = off as $$
declare
  taken uuid[];
  found record;
begin
  with picked as (
    select f.failure_no from tasker_engine.failures f order by f.failure_no limit _most for update skip locked),
  gone as (
    delete from tasker_engine.failures f using picked p where f.failure_no = p.failure_no returning f.task_id)
  select array_agg(distinct g.task_id) into taken from gone g;
  for found in
    select t.task_id, coalesce(j.reason, 'dependency_cycle_detected') as reason
    from unnest(taken) as w(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = w.task_id offset 0) t
    left join lateral (
      select tasker_engine.dlq_reason(s.error, s.tries, p.max_attempts, p.is_retryable) as reason
      from (select n.* from tasker_engine.steps n where n.task_id = t.task_id and n.state = 'error') s
      cross join lateral (
        select * from tasker_engine.template_steps p
        where p.template_id = t.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) p
      order by 1 nulls last, s.finished_at desc limit 1) j on true
    where j.reason is not null or t.failed = 0 and t.state = 'error'
  loop
    if tasker_engine.dlq_lock(found.task_id, false) then
      perform tasker_engine.put_in_dlq(tasker_engine.uuid7(_now), found.task_id, found.reason, 'tasker', null, '{}', _now);
    else  -- an operator is at it: the next sweep judges it
      insert into tasker_engine.failures (task_id) values (found.task_id);
    end if;
  end loop;
  return coalesce(cardinality(taken), 0);
end $$;

-- dlq_reason: why a step that failed for good needs somebody; null: it does not.
create or replace function tasker_engine.dlq_reason(_error jsonb, _tries int, _max_attempts int, _is_retryable boolean) returns text
language sql immutable as $$
  select case
    when _error ->> 'error_type' in ('worker_lost', 'handler_not_found') then 'worker_unavailable'
    when coalesce((_error ->> 'retryable')::boolean, true) and (_tries >= _max_attempts or not _is_retryable) then 'max_retries_exceeded'
  end
$$;

-- dlq_lock: one at a time changes the entries of a task; without _may_wait it answers whether it may. (To insert beside an entry
-- that somebody is changing would wait for that one.)
create or replace function tasker_engine.dlq_lock(_task_id uuid, _may_wait boolean) returns boolean language plpgsql as $$
begin
  if _may_wait then
    perform pg_advisory_xact_lock(hashtextextended('tasker dlq ' || _task_id, 0));
    return true;
  end if;
  return pg_try_advisory_xact_lock(hashtextextended('tasker dlq ' || _task_id, 0));
end $$;

-- put_in_dlq: an entry for a task, unless one of it is pending. Answers its id, or that of the pending one. The caller holds
-- dlq_lock.
create or replace function tasker_engine.put_in_dlq(
  _entry_id uuid, _task_id uuid, _reason text, _actor text, _notes text, _metadata jsonb, _now timestamptz)
returns uuid language plpgsql as $$
begin
  insert into tasker_engine.dlq (entry_id, task_id, namespace_id, reason, original_state, notes, snapshot, metadata, created_at, updated_at)
  select _entry_id, t.task_id, t.namespace_id, _reason, t.state, _notes, tasker_engine.dlq_snapshot(t), _metadata, _now, _now
  from tasker_engine.tasks t where t.task_id = _task_id
  on conflict (task_id) where status = 'pending' do nothing;
  if not found then
    return (select d.entry_id from tasker_engine.dlq d where d.task_id = _task_id and d.status = 'pending');
  end if;
  insert into tasker_engine.dlq_events (entry_id, seq, at, actor, action, detail)
  values (_entry_id, 1, _now, _actor, 'created', jsonb_strip_nulls(jsonb_build_object('reason', _reason, 'notes', _notes)));
  return _entry_id;
end $$;

-- dlq_snapshot: a task as it is now: its counters, and the first fifty of its steps that are not done. Its input is not in it.
create or replace function tasker_engine.dlq_snapshot(_task tasker_engine.tasks) returns jsonb language plpgsql stable as $$
begin
  return (
    select jsonb_build_object('task_uuid', _task.task_id, 'namespace', n.name, 'name', p.name, 'version', p.version,
      'state', _task.state, 'is_paused', _task.paused_at is not null, 'created_at', _task.created_at, 'open', _task.open,
      'live', _task.live, 'due', _task.due, 'failed', _task.failed, 'steps', (
        select coalesce(jsonb_agg(jsonb_build_object('number', s.number, 'name', ts.name || coalesce('_' || i.batch_id, ''), 'state', s.state, 'attempt', s.attempt,
          'tries', s.tries, 'max_attempts', ts.max_attempts, 'error', s.error) order by s.number), '[]')
        from (select * from tasker_engine.steps s where s.task_id = _task.task_id and s.state not in ('complete', 'resolved_manually')
              order by s.state = 'error' desc, s.number limit 50) s
        cross join lateral (
          select * from tasker_engine.template_steps ts
          where ts.template_id = _task.template_id and ts.number = tasker_engine.plan_number(s.number) offset 0) ts
        left join tasker_engine.batch_items i on i.task_id = s.task_id and i.number = s.number))
    from tasker_engine.templates p join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
    where p.template_id = _task.template_id);
end $$;
