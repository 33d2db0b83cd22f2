-- act: what an operator does to a task (cancel, pause, resume) or to one of its steps (retry, resolve, complete).
--
-- _act_id makes a repeat after a lost reply answer what the first one did. _seen_state and _seen_attempt (null: whatever)
-- are what the operator saw: if it is another by now, nothing is done. It waits for the task's row. Answers the states.
create or replace function tasker_engine.act(
  _act_id uuid, _action text, _task_id uuid, _number int, _seen_state text, _seen_attempt int,
  _actor text, _reason text, _result jsonb default null, _now timestamptz default null) returns jsonb language plpgsql as $$
declare
  task tasker_engine.tasks;
  answer jsonb;
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(hashtextextended(_act_id::text, 0));
  select a.answer into answer from tasker_engine.acts a where a.act_id = _act_id;
  if found then
    return answer;
  end if;
  select * into task from tasker_engine.tasks t where t.task_id = _task_id for no key update;
  if not found then
    raise exception 'there is no task %', _task_id using errcode = 'TK010';
  end if;
  _now := tasker_engine.clock(_now);
  if _action in ('cancel', 'pause', 'resume') then
    perform tasker_engine.act_on_task(_action, task, _seen_state, tasker_engine.act_detail(_act_id, _action, _actor, _reason), _now);
  elsif _action in ('retry', 'resolve', 'complete') then
    perform tasker_engine.act_on_step(_action, task, _number, _seen_state, _seen_attempt, _result,
      tasker_engine.act_detail(_act_id, _action, _actor, _reason), _now);
  else
    raise exception 'there is no action "%": it is one of cancel, pause, resume, retry, resolve, complete', _action using errcode = 'TK012';
  end if;
  answer := jsonb_build_object('action', _action, 'task_id', _task_id, 'number', _number,
    'task_state', (select t.state from tasker_engine.tasks t where t.task_id = _task_id),
    'is_paused', (select t.paused_at is not null from tasker_engine.tasks t where t.task_id = _task_id),
    'step_state', (select s.state from tasker_engine.steps s where s.task_id = _task_id and s.number = _number));
  insert into tasker_engine.acts (act_id, task_id, number, action, actor, reason, at, answer)
  values (_act_id, _task_id, _number, _action, _actor, _reason, _now, answer);
  return answer;
end $$;

create or replace function tasker_engine.act_detail(_act_id uuid, _action text, _actor text, _reason text) returns jsonb
language sql immutable as $$
  select jsonb_build_object('act_id', _act_id, 'action', _action, 'actor', _actor, 'reason', _reason)
$$;
