-- fork_task: the task and its input, as those of the origin but for what was edited. Its counters follow with begin_fork.
create or replace function tasker_engine.fork_task(
  _new_id uuid, _origin tasker_engine.tasks, _context jsonb, _patch jsonb, _now timestamptz) returns void language plpgsql as $$
declare
  edited jsonb;
begin
  if coalesce(jsonb_typeof(_context), 'object') <> 'object' or coalesce(jsonb_typeof(_patch), 'object') <> 'object' then
    raise exception 'the context of a task is a JSON object' using errcode = 'TK015';
  end if;
  select coalesce(_context, i.context) || coalesce(_patch, '{}') into edited from tasker_engine.inputs i where i.task_id = _origin.task_id;
  perform tasker_engine.check_size(octet_length(edited::text));
  insert into tasker_engine.tasks (task_id, template_id, namespace_id, state, class, is_checked, open, live, born_at, created_at)
  select _new_id, _origin.template_id, _origin.namespace_id, 'pending', _origin.class,
    case when _context is null and _patch is null then _origin.is_checked else not p.has_schema end, 0, 0, _now, _now
  from tasker_engine.templates p where p.template_id = _origin.template_id;
  insert into tasker_engine.inputs (task_id, context, bytes, priority, initiator, source_system, reason, tags, correlation_id, parent_correlation_id)
  select _new_id, edited, octet_length(edited::text), i.priority, i.initiator, i.source_system, i.reason, i.tags, i.correlation_id,
    i.parent_correlation_id
  from tasker_engine.inputs i where i.task_id = _origin.task_id;
  insert into tasker_engine.task_fields (field_id, value, task_id)
  select f.field_id, v.value, _new_id
  from tasker_engine.template_fields f
  cross join lateral (select tasker_engine.field_value(edited #> f.keys) as value) v
  where f.template_id = _origin.template_id and v.value is not null;
end $$;

-- fork_steps: the rows of all steps: those done in the origin, but for the ones in _again, are copied with their results; the
-- others are pending. Batches that are done come with their members, and parts that were cut with their cursors. Answers the
-- numbers of what was copied, members left out.
create or replace function tasker_engine.fork_steps(_new_id uuid, _origin tasker_engine.tasks, _again int[], _now timestamptz)
returns int[] language plpgsql as $$
declare
  copied int[] := array(
    select s.number from tasker_engine.steps s
    where s.task_id = _origin.task_id and s.number < 65536 and s.state in ('complete', 'resolved_manually') and s.number <> all (_again)
    order by s.number);
begin
  insert into tasker_engine.batch_items (task_id, number, batch_id, cursor, items)
  select _new_id, i.number, i.batch_id, i.cursor, i.items
  from tasker_engine.batch_items i
  join tasker_engine.template_steps p on p.template_id = _origin.template_id and p.number = i.number >> 16
  where i.task_id = _origin.task_id
    and (p.number = any (copied) or not p.batch ? 'path' and (p.batch ->> 'source')::int = any (copied));
  insert into tasker_engine.batches (task_id, number, failure_strategy, parallelism, total, next_index, running, succeeded, failed, items,
    items_done, expanded_at)
  select _new_id, b.number, b.failure_strategy, b.parallelism, b.total, b.next_index, b.running, b.succeeded, b.failed, b.items,
    b.items_done, b.expanded_at
  from tasker_engine.batches b where b.task_id = _origin.task_id and b.number = any (copied);
  insert into tasker_engine.steps (task_id, number, state, waiting)
  select _new_id, p.number, 'pending', cardinality(p.parents)
  from tasker_engine.template_steps p where p.template_id = _origin.template_id and p.number <> all (copied) order by p.number;
  with made as (
    insert into tasker_engine.steps (task_id, number, state, waiting, moves, result, result_bytes, finished_at)
    select _new_id, s.number, s.state, 0, 1, s.result, s.result_bytes, _now
    from tasker_engine.steps s
    where s.task_id = _origin.task_id and tasker_engine.plan_number(s.number) = any (copied) order by s.number
    returning number, state)
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
  select _new_id, m.number, 1, 'pending', m.state, _now, jsonb_build_object('copied_from', _origin.task_id) from made m;
  return copied;
end $$;

-- begin_fork: what waits for nobody is ready, and the task counts its steps. What decisions that were copied did not choose has
-- lost its row already.
create or replace function tasker_engine.begin_fork(_new_id uuid, _origin tasker_engine.tasks, _now timestamptz) returns void
language plpgsql as $$
begin
  update tasker_engine.steps s set waiting = w.is_right
  from tasker_engine.wrong_waiting(array[_new_id]) w where s.task_id = w.task_id and s.number = w.number;
  with free as (
    update tasker_engine.steps s set state = 'enqueued', moves = s.moves + 1
    from tasker_engine.template_steps p
    where s.task_id = _new_id and s.state = 'pending' and s.waiting = 0 and p.template_id = _origin.template_id and p.number = s.number
    returning s.number, s.moves, p.channel_id, p.parents),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(f.channel_id, case when f.parents = '{}' then 0 else 1 end, _origin.class), _new_id, f.number, _now from free f)
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
  select _new_id, f.number, f.moves, 'pending', 'enqueued', _now from free f;
  update tasker_engine.tasks t set open = c.open, live = c.live
  from (select count(*) filter (where s.state in ('pending', 'enqueued'))::int as open, count(*) filter (where s.state = 'enqueued')::int as live
        from tasker_engine.steps s where s.task_id = _new_id) c
  where t.task_id = _new_id;
end $$;
