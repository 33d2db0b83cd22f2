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
begin
  select * into step from tasker_engine.steps s where s.task_id = _task.task_id and s.number = _number for no key update;
  if not found then
    perform tasker_engine.refuse_missing_step(_task, _number);
  end if;
  select * into plan from tasker_engine.template_steps ts where ts.template_id = _task.template_id and ts.number = _number;
  perform tasker_engine.check_step_action(_action, _task, step, plan.name, _seen_state, _seen_attempt);
  if plan.type = 'decision' and _action = 'complete' and tasker_engine.chosen_steps(_result) is null then
    raise exception 'decision "%" is completed with a result that says what it chose', plan.name using errcode = 'TK015',
      hint = '{"decision_point_outcome": {"type": "create_steps", "step_names": [...]}}, or {"type": "no_branches"}';
  end if;
  is_due := step.state = 'waiting_for_retry' or step.state = 'pending' and plan.parents = '{}';
  is_live := is_due or step.state in ('enqueued', 'in_progress') or step.state = 'pending' and step.waiting = 0;
  next := case _action when 'retry' then 'enqueued' when 'resolve' then 'resolved_manually' else 'complete' end;
  update tasker_engine.steps s
  set state = next, session_id = null, moves = s.moves + 1, finished_at = case when _action = 'retry' then null else _now end,
    tries = case when _action = 'retry' then 0 else s.tries end, losses = case when _action = 'retry' then 0 else s.losses end,
    is_suspect = s.is_suspect and _action <> 'retry', result = coalesce(_result, s.result),
    result_bytes = coalesce(octet_length(_result::text), s.result_bytes)
  where s.task_id = _task.task_id and s.number = _number;
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, at, detail)
  values (_task.task_id, _number, step.moves + 1, step.state, next, nullif(step.attempt, 0), _now, _detail);
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
  perform tasker_engine.advance(null, held, done_tasks, done_numbers,
    array[row(_task.task_id, -cardinality(done_tasks),
      (_action = 'retry')::int - is_live::int, -is_due::int, -(step.state = 'error')::int)::tasker_engine.task_change],
    '{}', '{}', '{}', _now);
end $$;

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
  if _action = 'retry' and _step.state not in ('error', 'waiting_for_retry') then
    raise exception 'step "%" is %: only a step in error or waiting for its retry can be tried again', _name, _step.state
      using errcode = 'TK012';
  end if;
  if _step.state in ('complete', 'resolved_manually', 'cancelled') then
    raise exception 'step "%" is % already', _name, _step.state using errcode = 'TK012';
  end if;
end $$;
