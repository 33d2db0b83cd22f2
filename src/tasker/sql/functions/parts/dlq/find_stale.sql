-- find_stale: looks at the next of the tasks that have not ended, in the order of their ids and round again, for those that
-- have stood still for too long. What becomes of them their template says: an entry, an end in error, both, or nothing.
-- Answers how many it found.
create or replace function tasker_engine.find_stale(_most int, _now timestamptz) returns int language plpgsql
set enable_indexscan = on set enable_hashjoin = off as $$
declare
  looked_at uuid[] := tasker_engine.next_open_tasks((select w.stale_after from tasker_engine.sweeps w), _most, _now);
  stale record;
  found_ids uuid[] := '{}';
begin
  update tasker_engine.sweeps w
  set stale_after = case when cardinality(looked_at) < _most then '00000000-0000-0000-0000-000000000000' else looked_at[_most] end
  where cardinality(looked_at) > 0 or w.stale_after <> '00000000-0000-0000-0000-000000000000';
  for stale in
    select j.* from tasker_engine.judge_staleness(looked_at, _now) j where j.health = 'stale'
  loop
    if stale.fails and cardinality(tasker_engine.lock_whole_tasks(tasker_engine.lock_tasks(array[stale.task_id], false))) = 1 then
      perform tasker_engine.fail_stale(stale.task_id, _now);
    end if;
    if stale.is_entered and tasker_engine.dlq_lock(stale.task_id, false) and not exists (
        select from tasker_engine.dlq d where d.task_id = stale.task_id
          and (d.status = 'pending' or d.updated_at > _now - make_interval(secs => stale.threshold_s))) then
      perform tasker_engine.put_in_dlq(tasker_engine.uuid7(_now), stale.task_id, stale.reason, 'tasker', null,
        jsonb_build_object('since', stale.since, 'threshold_s', stale.threshold_s, 'age_s', stale.age_s), _now);
      found_ids := found_ids || stale.task_id;
    end if;
  end loop;
  return cardinality(found_ids);
end $$;

-- next_open_tasks: up to _most tasks that have not ended, with ids above _after, old enough that one may be stale.
create or replace function tasker_engine.next_open_tasks(_after uuid, _most int, _now timestamptz) returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on as $$
declare
  above uuid := tasker_engine.id_at(_now - make_interval(secs => tasker_engine.least_staleness_s()));
begin
  return array(
    select head.task_id
    from unnest(array['pending', 'steps_in_process', 'waiting_for_retry', 'blocked_by_failures']::tasker_engine.state[]) as w(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where (t.state, t.task_id) > (w.state, _after) and (t.state, t.task_id) < (w.state, above) and t.template_id > 0
      order by t.state, t.task_id limit _most) head
    order by head.task_id limit _most);
end $$;

-- least_staleness_s: the shortest time after which any task may be stale.
create or replace function tasker_engine.least_staleness_s() returns double precision language plpgsql stable as $$
begin
  return least(tasker_engine.setting('stale_pending_s'), tasker_engine.setting('stale_retry_s'), tasker_engine.setting('stale_process_s'),
    tasker_engine.setting('stale_lifetime_s'), (
      select 60 * min(least((t.lifecycle ->> 'max_waiting_for_dependencies_minutes')::float8, (t.lifecycle ->> 'max_waiting_for_retry_minutes')::float8,
        (t.lifecycle ->> 'max_steps_in_process_minutes')::float8, (t.lifecycle ->> 'max_duration_minutes')::float8))
      from tasker_engine.templates t where t.lifecycle is not null));
end $$;

-- judge_staleness: for how long tasks have stood still, and how long they may. Whatever moves in a task counts, a checkpoint
-- too; a step that runs has at least its timeout. health: healthy, warning (from four fifths on), stale, or paused: a ready step of
-- it waits in a queue that an operator has paused, and time counts anew when that ends.
create or replace function tasker_engine.judge_staleness(_task_ids uuid[], _now timestamptz)
returns table (
  task_id uuid, state tasker_engine.state, since timestamptz, still_s double precision, age_s double precision,
  threshold_s double precision, health text, reason text, is_entered boolean, fails boolean) language plpgsql stable
set enable_indexscan = on set enable_hashjoin = off as $$
#variable_conflict use_column
begin
  return query
  with known as (
    select t.*, coalesce(p.lifecycle, '{}') as cycle,
      o.is_paused, greatest(t.born_at, o.ended_at, case when t.state <> 'pending' then greatest(
        (select max(h.at) from tasker_engine.transitions h where h.task_id = t.task_id),
        (select max(c.saved_at) from tasker_engine.checkpoints c where c.task_id = t.task_id)) end) as since
    from unnest(_task_ids) as w(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = w.task_id offset 0) t
    cross join lateral (select p.lifecycle from tasker_engine.templates p where p.template_id = t.template_id offset 0) p
    cross join lateral tasker_engine.pause_over(t.task_id, t.template_id) o
    where t.paused_at is null and t.state in ('pending', 'steps_in_process', 'waiting_for_retry', 'blocked_by_failures')),
  timed as (
    select k.*, date_part('epoch', _now - k.since) as still_s, date_part('epoch', _now - k.born_at) as age_s,
      case k.state
        when 'pending' then coalesce(60 * (k.cycle ->> 'max_waiting_for_dependencies_minutes')::float8, tasker_engine.setting('stale_pending_s'))
        when 'waiting_for_retry' then coalesce(60 * (k.cycle ->> 'max_waiting_for_retry_minutes')::float8, tasker_engine.setting('stale_retry_s'))
        else greatest(coalesce(60 * (k.cycle ->> 'max_steps_in_process_minutes')::float8, tasker_engine.setting('stale_process_s')), (
          select max(p.timeout_s) from tasker_engine.steps s
          cross join lateral (
            select * from tasker_engine.template_steps p
            where p.template_id = k.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) p
          where s.task_id = k.task_id and s.state = 'in_progress'))
      end as threshold_s,
      coalesce(60 * (k.cycle ->> 'max_duration_minutes')::float8, tasker_engine.setting('stale_lifetime_s')) as lifetime_s
    from known k)
  select m.task_id, m.state, m.since, m.still_s, m.age_s, least(m.threshold_s, m.lifetime_s),
    case when m.is_paused then 'paused'
      when greatest(m.still_s / m.threshold_s, m.age_s / m.lifetime_s) >= 1 then 'stale'
      when greatest(m.still_s / m.threshold_s, m.age_s / m.lifetime_s) >= 0.8 then 'warning' else 'healthy' end,
    case when m.live = 0 and m.failed = 0 then 'dependency_cycle_detected'
      when exists (select from tasker_engine.unserved_steps(m.task_id, m.template_id)) then 'worker_unavailable'
      else 'staleness_timeout' end,
    coalesce(m.cycle ->> 'staleness_action', 'dlq') <> 'none' and coalesce((m.cycle ->> 'auto_dlq_on_timeout')::boolean, true),
    coalesce(m.cycle ->> 'staleness_action', 'dlq') = 'error' or coalesce((m.cycle ->> 'auto_fail_on_timeout')::boolean, false)
  from timed m;
end $$;

-- fail_stale: every step of a stale task that could still move ends in error; what runs is taken from its worker. Members of a
-- batch whose turn that makes it follow them, some rounds at a time. The caller holds
-- the rows of the task and of its open steps.
create or replace function tasker_engine.fail_stale(_task_id uuid, _now timestamptz) returns void language plpgsql as $$
declare
  changes tasker_engine.task_change[];
  ended tasker_engine.batch_change[];
  numbers int[];
begin
  for round in 1 .. 20 loop
    with live as materialized (
      select s.number, s.state, s.state = 'waiting_for_retry' as is_due
      from tasker_engine.steps s where s.task_id = _task_id and s.state in ('enqueued', 'in_progress', 'waiting_for_retry')),
    moved as (
      update tasker_engine.steps s
      set state = 'error', session_id = null, moves = s.moves + 1, finished_at = _now, error = tasker_engine.stood_still()
      from live l where s.task_id = _task_id and s.number = l.number
      returning s.number, s.moves, s.attempt, l.state as before, l.is_due),
    history as (
      insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, at, detail)
      select _task_id, m.number, m.moves, m.before, 'error', nullif(m.attempt, 0), _now, tasker_engine.stood_still() from moved m)
    select array_agg(row(_task_id, 0, -1, -m.is_due::int, 1)::tasker_engine.task_change),
      array_agg(row(_task_id, m.number, -1, 0, 1)::tasker_engine.batch_change) filter (where m.number >= 65536),
      array_agg(m.number order by m.number)
    into changes, ended, numbers from moved m;
    exit when changes is null;
    perform tasker_engine.record_events(array_fill(_task_id, array[cardinality(numbers)]), numbers, _now);
    perform tasker_engine.settle_members(changes, ended, _now);
  end loop;
end $$;

create or replace function tasker_engine.stood_still() returns jsonb language sql immutable as $$
  select '{"error_type": "staleness_timeout", "message": "the task stood still for longer than its template allows", "retryable": false}'::jsonb
$$;
