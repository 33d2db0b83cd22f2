-- act_on_step: retry (tries and losses start over, the attempt goes on), resolve, or complete with a result. The caller holds
-- the task's row. Children are freed exactly when the step comes to satisfy them.
create or replace function tasker_engine.act_on_step(
  _action text, _task tasker_engine.tasks, _number int, _seen_state text, _seen_attempt int, _result jsonb, _detail jsonb,
  _now timestamptz) returns void language plpgsql as $$
declare
  step tasker_engine.steps;
  plan tasker_engine.template_steps;
  next tasker_engine.state;
  is_live boolean;
  is_due boolean;
  held tasker_engine.held_task[];
  done_tasks uuid[] := '{}';
  done_numbers int[] := '{}';
  gone record;
  grown record;
  extra tasker_engine.task_change[] := '{}';
begin
  select * into step from tasker_engine.steps s where s.task_id = _task.task_id and s.number = _number for no key update;
  if not found then
    perform tasker_engine.refuse_missing_step(_task, _number);
  end if;
  select * into plan from tasker_engine.template_steps ts
  where ts.template_id = _task.template_id and ts.number = tasker_engine.plan_number(_number);
  perform tasker_engine.check_step_action(_action, _task, step, tasker_engine.step_name(plan.name, step), _seen_state, _seen_attempt);
  if plan.type = 'decision' and _action = 'complete' and tasker_engine.chosen_steps(_result) is null then
    raise exception 'decision "%" is completed with a result that says what it chose', plan.name using errcode = 'TK015',
      hint = '{"decision_point_outcome": {"type": "create_steps", "step_names": [...]}}, or {"type": "no_branches"}';
  end if;
  if plan.type = 'batchable' and _action = 'complete' then
    _result := tasker_engine.batches_by_hand(_task, plan, _result);
  end if;
  if _number < 65536 and plan.batch is not null and exists (
      select from tasker_engine.batches b where b.task_id = _task.task_id and b.number = _number) then
    if _action = 'retry' then
      perform tasker_engine.retry_members(_task, _number, _detail, _now);
      return;
    end if;
    extra := tasker_engine.settle_by_hand(_task, _number, _detail, _now);
  end if;
  is_due := step.state = 'waiting_for_retry' or step.state = 'pending' and plan.parents = '{}';
  is_live := is_due or step.state in ('enqueued', 'in_progress') or step.state = 'pending' and step.waiting = 0;
  next := case _action when 'retry' then 'enqueued' when 'resolve' then 'resolved_manually' else 'complete' end;
  update tasker_engine.steps s
  set state = next, session_id = null, moves = s.moves + 1, finished_at = case when _action = 'retry' then null else _now end,
    tries = case when _action = 'retry' then 0 else s.tries end, losses = case when _action = 'retry' then 0 else s.losses end,
    is_suspect = s.is_suspect and _action <> 'retry', result = coalesce(_result, s.result),
    result_bytes = coalesce(octet_length(_result::text), s.result_bytes),
    waiting = case when plan.batch is not null and _number >= 65536 then 0 else s.waiting end
  where s.task_id = _task.task_id and s.number = _number;
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, at, detail)
  values (_task.task_id, _number, step.moves + 1, step.state, next, nullif(step.attempt, 0), _now, _detail);
  if _action <> 'retry' then
    perform tasker_engine.record_events(array[_task.task_id], array[_number], _now);
  end if;
  if _action = 'retry' and _task.paused_at is null then
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    values (tasker_engine.lane(plan.channel_id, 1, _task.class), _task.task_id, _number, _task.born_at);
  end if;
  held := tasker_engine.hold_tasks(array[_task.task_id], true);
  if _action <> 'retry' then
    select * into gone from tasker_engine.decide(held, array[_task.task_id], array[_number]);
    done_tasks := _task.task_id || gone.gone_tasks;
    done_numbers := _number || gone.gone_numbers;
  end if;
  extra := extra || row(_task.task_id, -cardinality(done_tasks), (_action = 'retry')::int - is_live::int, -is_due::int,
    -(step.state = 'error')::int)::tasker_engine.task_change;
  if _number >= 65536 then
    select * into grown from tasker_engine.advance_batches(array[row(_task.task_id, _number,
      (_action = 'retry')::int - is_live::int, (_action <> 'retry')::int, -(step.state = 'error')::int)::tasker_engine.batch_change], _now);
    extra := extra || grown.changes;
    done_tasks := done_tasks || grown.done_tasks;
    done_numbers := done_numbers || grown.done_numbers;
  end if;
  perform tasker_engine.advance(null, held, done_tasks, done_numbers, extra, '{}', '{}', '{}', _now);
end $$;

-- batches_by_hand: keeps the cursors of a batchable step that an operator completes; the result without them.
create or replace function tasker_engine.batches_by_hand(
  _task tasker_engine.tasks, _plan tasker_engine.template_steps, _result jsonb) returns jsonb language plpgsql as $$
declare
  wrong text := tasker_engine.wrong_outcome(_plan.name, _plan.type, tasker_engine.worker_of(_plan.template_id, _plan.children),
    _result -> 'batch_processing_outcome');
begin
  if wrong is not null then
    raise exception '%', wrong using errcode = 'TK015', hint = '{"batch_processing_outcome": {"type": "create_batches", "cursor_configs": '
      '[{"batch_id": "001", "start_cursor": 0, "end_cursor": 100, "batch_size": 100}]}}, or {"type": "no_batches"}';
  end if;
  perform tasker_engine.store_cursors(tasker_engine.hold_tasks(array[_task.task_id], true), array[_task.task_id], array[_plan.number],
    array[coalesce(_result #> '{batch_processing_outcome,cursor_configs}', '[]')]);
  return tasker_engine.without_cursors(_result);
end $$;

-- retry_members: to retry a batch is to retry its members that failed.
create or replace function tasker_engine.retry_members(_task tasker_engine.tasks, _number int, _detail jsonb, _now timestamptz)
returns void language plpgsql as $$
declare
  member int;
begin
  for member in
    select s.number from tasker_engine.steps s
    where s.task_id = _task.task_id and s.number between _number << 16 and _number << 16 | 65535 and s.state = 'error' order by s.number
  loop
    perform tasker_engine.act_on_step('retry', _task, member, null, null, null, _detail, _now);
  end loop;
end $$;

-- settle_by_hand: an operator settles a batch: its members that have not ended do not run any more. Answers how the task's
-- counters change, beside what the batch itself changes.
create or replace function tasker_engine.settle_by_hand(_task tasker_engine.tasks, _number int, _detail jsonb, _now timestamptz)
returns tasker_engine.task_change[] language plpgsql as $$
declare
  is_isolated boolean;
  change tasker_engine.task_change;
begin
  update tasker_engine.batches b set running = 0, succeeded = b.total - case when b.failure_strategy = 'isolate' then b.failed else 0 end,
    failed = case when b.failure_strategy = 'isolate' then b.failed else 0 end
  where b.task_id = _task.task_id and b.number = _number returning b.failure_strategy = 'isolate' into is_isolated;
  update tasker_engine.steps s set waiting = 0 where s.task_id = _task.task_id and s.number = _number;
  with before as materialized (
    select s.number, s.state, s.waiting from tasker_engine.steps s
    where s.task_id = _task.task_id and s.number between _number << 16 and _number << 16 | 65535
      and s.state not in ('complete', 'resolved_manually') and not (is_isolated and s.state = 'error')
    order by s.number for no key update),
  moved as (
    update tasker_engine.steps s
    set state = 'resolved_manually', session_id = null, waiting = 0, moves = s.moves + 1, finished_at = _now
    from before b where s.task_id = _task.task_id and s.number = b.number
    returning s.number, s.moves, s.attempt, b.state as before, b.waiting),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, at, detail)
    select _task.task_id, m.number, m.moves, m.before, 'resolved_manually', nullif(m.attempt, 0), _now, _detail from moved m)
  select _task.task_id, -count(*)::int,
    -count(*) filter (where m.before in ('enqueued', 'in_progress', 'waiting_for_retry') or m.before = 'pending' and m.waiting = 0)::int,
    -count(*) filter (where m.before = 'waiting_for_retry')::int, -count(*) filter (where m.before = 'error')::int
  into change from moved m;
  return array[change];
end $$;

-- step_name: the name of a step; that of a member is its batch's with its id.
create or replace function tasker_engine.step_name(_plan_name text, _step tasker_engine.steps) returns text language sql stable as $$
  select _plan_name || coalesce('_' || (select i.batch_id from tasker_engine.batch_items i
    where i.task_id = _step.task_id and i.number = _step.number and _step.number >= 65536), '')
$$;

-- refuse_missing_step: says why a step has no row.
create or replace function tasker_engine.refuse_missing_step(_task tasker_engine.tasks, _number int) returns void language plpgsql as $$
declare
  missing text := (select ts.name from tasker_engine.template_steps ts where ts.template_id = _task.template_id and ts.number = _number);
begin
  if missing is null then
    raise exception 'task % has no step %', _task.task_id, _number using errcode = 'TK011';
  end if;
  raise exception 'step "%" is not taken: a decision before it chose otherwise', missing using errcode = 'TK012';
end $$;

-- check_step_action: an action on a step is refused with the reason, before anything is written.
create or replace function tasker_engine.check_step_action(
  _action text, _task tasker_engine.tasks, _step tasker_engine.steps, _name text, _seen_state text, _seen_attempt int)
returns void language plpgsql as $$
begin
  if _seen_state <> _step.state::text or _seen_attempt <> _step.attempt then
    raise exception 'step "%" is % on attempt %, not as you saw it', _name, _step.state, _step.attempt using errcode = 'TK012',
      hint = 'look again, then decide again';
  end if;
  if _task.state in ('complete', 'cancelled', 'resolved_manually') then
    raise exception 'task % is %: nothing can be done to its steps', _task.task_id, _task.state using errcode = 'TK012';
  end if;
  if _action = 'retry' and _step.number >= 65536 and exists (
      select from tasker_engine.steps b where b.task_id = _step.task_id and b.number = _step.number >> 16
        and b.state in ('complete', 'resolved_manually')) then
    raise exception 'step "%" belongs to a batch that is over: what follows it has gone on without this member', _name
      using errcode = 'TK012', hint = 'complete it by hand with a result, resolve it, or submit another task';
  end if;
  if _action = 'retry' and _step.state not in ('error', 'waiting_for_retry') then
    raise exception 'step "%" is %: only a step in error or waiting for its retry can be tried again', _name, _step.state
      using errcode = 'TK012';
  end if;
  if _step.state in ('complete', 'resolved_manually', 'cancelled') then
    raise exception 'step "%" is % already', _name, _step.state using errcode = 'TK012';
  end if;
end $$;
