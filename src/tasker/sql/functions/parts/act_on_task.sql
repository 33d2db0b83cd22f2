-- act_on_task: cancel, pause or resume a task whose row the caller holds.
create or replace function tasker_engine.act_on_task(
  _action text, _task tasker_engine.tasks, _seen_state text, _detail jsonb, _now timestamptz) returns void language plpgsql as $$
begin
  if _seen_state <> _task.state::text then
    raise exception 'task % is %, not % as you saw it', _task.task_id, _task.state, _seen_state using errcode = 'TK012',
      hint = 'look again, then decide again';
  end if;
  if _task.state in ('complete', 'cancelled', 'resolved_manually') or _task.state = 'error' and _action <> 'cancel' then
    raise exception 'task % is %: it cannot be %', _task.task_id, _task.state,
      case _action when 'cancel' then 'cancelled' when 'pause' then 'paused' else 'resumed' end using errcode = 'TK012';
  end if;
  if _action = 'cancel' then
    perform tasker_engine.cancel_task(_task, _detail, _now);
    return;
  end if;
  if (_task.paused_at is not null) = (_action = 'pause') then
    return;
  end if;
  update tasker_engine.tasks t set paused_at = case when _action = 'pause' then _now end, moves = t.moves + 1
  where t.task_id = _task.task_id;
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
  values (_task.task_id, 0, _task.moves + 1, _task.state, _task.state, _now, _detail);
  if _action = 'resume' then
    perform tasker_engine.requeue_task(_task, _now);
  end if;
end $$;

-- cancel_task: ends what has not ended. What a worker runs at the moment, it is told to stop; its outcome will be stale.
create or replace function tasker_engine.cancel_task(_task tasker_engine.tasks, _detail jsonb, _now timestamptz) returns void
language plpgsql as $$
begin
  perform from tasker_engine.steps s where s.task_id = _task.task_id order by s.number for no key update;
  with before as materialized (
    select s.number, s.state from tasker_engine.steps s
    where s.task_id = _task.task_id and s.state not in ('complete', 'resolved_manually', 'cancelled')),
  moved as (
    update tasker_engine.steps s set state = 'cancelled', session_id = null, moves = s.moves + 1, finished_at = _now
    from before b where s.task_id = _task.task_id and s.number = b.number
    returning s.number, s.moves, s.attempt, b.state as from_state)
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, at, detail)
  select _task.task_id, m.number, m.moves, m.from_state, 'cancelled', m.attempt, _now, _detail from moved m;
  update tasker_engine.tasks t set state = 'cancelled', open = 0, live = 0, due = 0, failed = 0, paused_at = null,
    moves = t.moves + 1, finished_at = _now
  where t.task_id = _task.task_id;
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
  values (_task.task_id, 0, _task.moves + 1, _task.state, 'cancelled', _now, _detail);
end $$;

-- requeue_task: puts back in line what a pause took out of it. A row too many is harmless: claims look at the step's state.
create or replace function tasker_engine.requeue_task(_task tasker_engine.tasks, _now timestamptz) returns void language plpgsql as $$
begin
  with free as (
    update tasker_engine.steps s set state = 'enqueued', moves = s.moves + 1
    from tasker_engine.template_steps ts
    where s.task_id = _task.task_id and s.state = 'pending' and s.waiting = 0
      and ts.template_id = _task.template_id and ts.number = tasker_engine.plan_number(s.number) and ts.parents <> '{}'
    returning s.number, s.moves),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
    select _task.task_id, f.number, f.moves, 'pending', 'enqueued', _now from free f)
  insert into tasker_engine.ready (lane, task_id, number, born_at)
  select tasker_engine.lane(ts.channel_id, case when s.is_suspect then 2 when ts.parents = '{}' and s.tries = 0 then 0 else 1 end, _task.class),
    s.task_id, s.number, _task.born_at
  from tasker_engine.steps s
  join tasker_engine.template_steps ts on ts.template_id = _task.template_id and ts.number = tasker_engine.plan_number(s.number)
  where s.task_id = _task.task_id and (s.state = 'enqueued' or s.number in (select f.number from free f));
end $$;
