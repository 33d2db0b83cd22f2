-- settle: moves the counters of held tasks, and with them their state, once per task. Answers the tasks that ended.
create or replace function tasker_engine.settle(
  _held tasker_engine.held_task[], _changes tasker_engine.task_change[], _is_started boolean, _now timestamptz)
returns table (task_id uuid, state text) language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with change as (
    select task_id, sum(open)::int as open, sum(live)::int as live, sum(due)::int as due, sum(failed)::int as failed
    from unnest(_changes) group by task_id),
  next as (
    select h.place, h.state as before, h.open + c.open as open, h.live + c.live as live, h.due + c.due as due,
      h.failed + c.failed as failed, c.failed as newly_failed, h.moves, tasker_engine.task_state(h.open + c.open, h.live + c.live, h.due + c.due,
        h.failed + c.failed, _is_started or h.state <> 'pending') as after
    from change c join unnest(_held) h on h.task_id = c.task_id),
  settled as (
    update tasker_engine.tasks t
    set open = n.open, live = n.live, due = n.due, failed = n.failed, state = n.after, moves = n.moves + (n.before <> n.after)::int,
      finished_at = case when n.after in ('complete', 'error') then _now end,
      paused_at = case when n.after <> 'complete' then t.paused_at end
    from next n where t.ctid = n.place
    returning t.task_id, t.moves, n.before, n.after,
      n.newly_failed > 0 or n.after = 'error' and n.failed = 0 and n.before <> 'error' as is_noted),
  moved as materialized (select * from settled where before <> after or is_noted),
  noted as (  -- for the sweep to judge: see fill_dlq
    insert into tasker_engine.failures (task_id) select task_id from moved where is_noted),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
    select task_id, 0, moves, before, after, _now from moved where before <> after)
  select task_id, after::text from moved where before <> after and after in ('complete', 'error');
end $$;

-- settle, for callers that hold the rows but have not read them.
create or replace function tasker_engine.settle(_changes tasker_engine.task_change[], _is_started boolean, _now timestamptz)
returns table (task_id uuid, state text) language plpgsql as $$
begin
  return query select * from tasker_engine.settle(
    tasker_engine.hold_tasks(array(select distinct c.task_id from unnest(_changes) c), true), _changes, _is_started, _now);
end $$;
