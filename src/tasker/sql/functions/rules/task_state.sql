-- task_state: what the counters of a task say. A task is complete when nothing is open, in error when nothing can move.
-- (Each literal has its type, so that the planner can inline the function.)
create or replace function tasker_engine.task_state(_open int, _live int, _due int, _failed int, _is_started boolean)
returns tasker_engine.state language sql immutable as $$
  select case
    when _open = 0 then 'complete'::tasker_engine.state
    when _live = 0 then 'error'::tasker_engine.state
    when _failed > 0 then 'blocked_by_failures'::tasker_engine.state
    when not _is_started then 'pending'::tasker_engine.state
    when _due = _live then 'waiting_for_retry'::tasker_engine.state
    else 'steps_in_process'::tasker_engine.state
  end
$$;
