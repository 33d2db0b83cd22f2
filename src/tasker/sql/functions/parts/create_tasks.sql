-- create_tasks: writes tasks with their steps; the first steps are ready, or due at the task's start. Ids that exist are
-- left alone; returns the ids made.
create or replace function tasker_engine.create_tasks(
  _template_id int, _task_ids uuid[], _contexts jsonb[], _options jsonb[], _now timestamptz)
returns uuid[] language sql as $$
  with wanted as (
    select w.task_id, w.context, w.option, greatest(-2, least(2, coalesce((w.option ->> 'priority')::int, 0))) + 2 as class,
      coalesce((w.option ->> 'start_at')::timestamptz, _now + make_interval(secs => (w.option ->> 'delay_s')::float8), _now) as born_at
    from unnest(_task_ids, _contexts, _options) as w(task_id, context, option)),
  made as (
    insert into tasker_engine.tasks
      (task_id, template_id, namespace_id, state, class, is_checked, open, live, due, born_at, created_at)
    select w.task_id, t.template_id, t.namespace_id, 'pending', w.class, coalesce((w.option ->> 'is_checked')::boolean, not t.has_schema),
      t.step_count, r.roots, case when w.born_at > _now then r.roots else 0 end, greatest(w.born_at, _now), _now
    from tasker_engine.templates t
    cross join lateral (select count(*)::int as roots from tasker_engine.template_steps s
                        where s.template_id = t.template_id and s.parents = '{}') r
    cross join wanted w
    where t.template_id = _template_id
    on conflict do nothing
    returning task_id, class, born_at),
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
    select m.task_id, m.class, m.born_at, s.number, s.channel_id, cardinality(s.parents) as waiting,
      s.parents = '{}' as is_root, m.born_at > _now as is_later
    from made m join tasker_engine.template_steps s on s.template_id = _template_id
    order by m.task_id, s.number),  -- a task's rows lie together, and its first steps come before the next task's
  stepped as (
    insert into tasker_engine.steps (task_id, number, state, waiting, moves)
    select task_id, number,
      case when is_root and not is_later then 'enqueued' else 'pending' end::tasker_engine.state, waiting,
      case when is_root and not is_later then 1 else 0 end
    from planned),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel_id, 0, class), task_id, number, born_at from planned where is_root and not is_later),
  scheduled as (
    insert into tasker_engine.due (due_at, task_id, number, attempt)
    select born_at, task_id, number, 0 from planned where is_root and is_later),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
    select task_id, 0, 1, null::tasker_engine.state, 'pending'::tasker_engine.state, _now from made
    union all
    select task_id, number, 1, 'pending', 'enqueued', _now from planned where is_root and not is_later)
  select coalesce(array_agg(task_id), '{}') from made
$$;
