-- record_events: writes the events that steps tell of the outcomes which the caller has just recorded, in its transaction: those
-- of the durable modes into the outbox. Answers all of them, as rows of kind `event`: `tries` is the place of the declaration,
-- `payload` the event's id, and `info` says how the step ended. A member of a batch tells its own outcome, as its batch declares;
-- the batch itself tells nothing.
create or replace function tasker_engine.record_events(_task_ids uuid[], _numbers int[], _now timestamptz)
returns setof tasker_engine.reply language plpgsql as $$
begin
  return query
  with told as materialized (
    select s.task_id, s.number, s.attempt, t.template_id, e.place, e.name, e.publisher, e.mode, o.outcome,
      case when o.outcome = 'success' then s.result when o.outcome <> 'resolved' then s.error end as content,
      tasker_engine.uuid7(_now) as event_id
    from unnest(_task_ids, _numbers) with ordinality as d(task_id, number, nth)
    cross join lateral (select * from tasker_engine.steps p where p.task_id = d.task_id and p.number = d.number offset 0) s
    cross join lateral (select * from tasker_engine.tasks p where p.task_id = d.task_id offset 0) t
    cross join lateral (select case s.state when 'complete' then 'success' when 'waiting_for_retry' then 'retryable_failure'
      when 'error' then 'permanent_failure' when 'resolved_manually' then 'resolved' end as outcome) o
    cross join lateral (
      select * from tasker_engine.template_events p
      where p.template_id = t.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) e
    where tasker_engine.meets(e.condition, o.outcome)
    order by d.nth, e.place),
  kept as (
    insert into tasker_engine.events (event_id, task_id, number, attempt, template_id, place, name, publisher, mode, outcome, content,
      recorded_at, due_at)
    select w.event_id, w.task_id, w.number, w.attempt, w.template_id, w.place, w.name, w.publisher, w.mode, w.outcome, w.content, _now, _now
    from told w where w.mode <> 'fast')
  select 'event', w.task_id, w.number, w.attempt, w.place, w.template_id, w.event_id::text, json_build_object('outcome', w.outcome)
  from told w;
end $$;

-- meets: whether an outcome is one that events of this condition tell of. A failure is permanent when the step is not tried again.
create or replace function tasker_engine.meets(_condition text, _outcome text) returns boolean language sql immutable as $$
  select coalesce(_condition = _outcome or _condition = 'always' or _condition = 'failure' and _outcome like '%\_failure', false)
    and _outcome is not null
$$;

-- reported_events: the same for a report. An attempt that was handed back has no outcome.
create or replace function tasker_engine.reported_events(
  _recorded_tasks uuid[], _recorded_numbers int[], _task_ids uuid[], _numbers int[], _kinds text[], _now timestamptz)
returns setof tasker_engine.reply language plpgsql as $$
declare
  told record;
begin
  select array_agg(o.task_id order by o.nth) as task_ids, array_agg(o.number order by o.nth) as numbers into told
  from unnest(_task_ids, _numbers, _kinds) with ordinality as o(task_id, number, kind, nth)
  join unnest(_recorded_tasks, _recorded_numbers) as r(task_id, number) on r.task_id = o.task_id and r.number = o.number
  where o.kind <> 'released';
  return query select * from tasker_engine.record_events(told.task_ids, told.numbers, _now);
end $$;

-- declare_events: notes what the steps of a template publish; _steps as `publish` has them.
create or replace function tasker_engine.declare_events(_template_id int, _steps jsonb) returns void language sql as $$
  insert into tasker_engine.template_events (template_id, number, place, name, condition, mode, publisher, schema)
  select _template_id, s.number, e.place - 1, e.said ->> 'name', e.said ->> 'condition', e.said ->> 'mode', e.said ->> 'publisher',
    nullif(e.said -> 'schema', 'null')
  from jsonb_to_recordset(_steps) as s(number int, events jsonb)
  cross join lateral jsonb_array_elements(coalesce(nullif(s.events, 'null'), '[]')) with ordinality as e(said, place)
$$;
