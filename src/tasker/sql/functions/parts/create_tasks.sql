-- create_tasks: writes tasks with their steps; the first steps are ready, or due at the task's start. Ids that exist are
-- left alone. As far as a taker serves them and has room, first steps are in process from the start, and never lie ready: tasks
-- in the order of their ids. Answers the ids made, and the steps taken.
create or replace function tasker_engine.create_tasks(
  _template_id int, _task_ids uuid[], _contexts jsonb[], _options jsonb[], _now timestamptz, _taker tasker_engine.taker default null,
  out made uuid[], out taken_tasks uuid[], out taken_numbers int[])
language sql as $$
  with plan as materialized (  -- a first step's rank is its place among those of its pool
    select s.number, s.channel_id, cardinality(s.parents) as waiting, s.parents = '{}' as is_root,
      (_taker).free[p.pool] as free, count(*) filter (where s.parents = '{}') over (partition by p.pool) as roots,
      count(*) filter (where s.parents = '{}') over (partition by p.pool order by s.number) as rank
    from tasker_engine.template_steps s
    cross join lateral (select (_taker).pools[array_position((_taker).channels, s.channel_id)] as pool) p
    where s.template_id = _template_id),
  wanted as (
    select w.task_id, w.context, w.option, greatest(-2, least(2, coalesce((w.option ->> 'priority')::int, 0))) + 2 as class,
      coalesce((w.option ->> 'start_at')::timestamptz, _now + make_interval(secs => (w.option ->> 'delay_s')::float8), _now) as born_at
    from unnest(_task_ids, _contexts, _options) as w(task_id, context, option)),
  taken as materialized (
    select w.task_id, p.number
    from (
      select n.task_id, row_number() over (order by n.task_id) - 1 as tasks_before
      from wanted n where _taker is not null and n.born_at <= _now) w
    cross join plan p where p.is_root and w.tasks_before * p.roots + p.rank <= p.free),
  made as (
    insert into tasker_engine.tasks
      (task_id, template_id, namespace_id, state, class, is_checked, open, live, due, moves, born_at, created_at)
    select w.task_id, t.template_id, t.namespace_id, case when b.is_begun then 'steps_in_process' else 'pending' end::tasker_engine.state,
      w.class, coalesce((w.option ->> 'is_checked')::boolean, not t.has_schema), t.step_count, r.roots,
      case when w.born_at > _now then r.roots else 0 end, 1 + b.is_begun::int, greatest(w.born_at, _now), _now
    from tasker_engine.templates t
    cross join lateral (select count(*)::int as roots from plan p where p.is_root) r
    cross join wanted w
    cross join lateral (select _taker is not null and exists (select from taken g where g.task_id = w.task_id) as is_begun) b
    where t.template_id = _template_id
    on conflict do nothing
    returning task_id, class, born_at, state),
  stored as (
    insert into tasker_engine.inputs (task_id, context, bytes, priority, initiator, source_system, reason, tags,
      correlation_id, parent_correlation_id, idempotency_key)
    select w.task_id, w.context, octet_length(w.context::text), coalesce((w.option ->> 'priority')::int, 0),
      w.option ->> 'initiator', w.option ->> 'source_system', w.option ->> 'reason',
      case when w.option ? 'tags' then array(select jsonb_array_elements_text(w.option -> 'tags')) end,
      (w.option ->> 'correlation_id')::uuid, (w.option ->> 'parent_correlation_id')::uuid, w.option ->> 'idempotency_key'
    from made m join wanted w using (task_id)),
  noted as (
    insert into tasker_engine.task_fields (field_id, value, task_id)
    select f.field_id, v.value, w.task_id
    from tasker_engine.template_fields f
    cross join made m
    join wanted w on w.task_id = m.task_id
    cross join lateral (select tasker_engine.field_value(w.context #> f.keys) as value) v
    where f.template_id = _template_id and v.value is not null),
  planned as (
    select m.task_id, m.class, m.born_at, p.number, p.channel_id, p.waiting, p.is_root and m.born_at <= _now as is_ready,
      p.is_root and m.born_at > _now as is_due,
      m.state <> 'pending' and exists (select from taken g where g.task_id = m.task_id and g.number = p.number) as is_taken
    from made m cross join plan p
    order by m.task_id, p.number),  -- a task's rows lie together, and its first steps come before the next task's
  stepped as (
    insert into tasker_engine.steps (task_id, number, state, waiting, moves, attempt, session_id, granted_at)
    select task_id, number, case when is_taken then 'in_progress' when is_ready then 'enqueued' else 'pending' end::tasker_engine.state,
      waiting, is_ready::int, is_taken::int, case when is_taken then (_taker).session_id end, case when is_taken then _now end
    from planned),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel_id, 0, class), task_id, number, born_at from planned where is_ready and not is_taken),
  scheduled as (
    insert into tasker_engine.due (due_at, task_id, number, attempt)
    select born_at, task_id, number, 0 from planned where is_due),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at)
    select task_id, 0, 1, null::tasker_engine.state, 'pending'::tasker_engine.state, null::int, null::int, _now from made
    union all
    select task_id, 0, 2, 'pending', state, null, null, _now from made where state <> 'pending'
    union all
    select task_id, number, 1, 'pending', case when is_taken then 'in_progress' else 'enqueued' end::tasker_engine.state,
      nullif(is_taken::int, 0), case when is_taken then (_taker).session_id end, _now
    from planned where is_ready)
  select (select coalesce(array_agg(task_id), '{}') from made), coalesce(array_agg(task_id), '{}'), coalesce(array_agg(number), '{}')
  from planned where is_taken
$$;
