-- settle: moves the counters of tasks whose rows the caller holds, and with them their state. Answers the tasks that ended.
create or replace function tasker_engine.settle(
  _changes tasker_engine.task_change[], _is_started boolean, _now timestamptz)
returns table (task_id uuid, state text) language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with change as (
    select task_id, sum(open)::int as open, sum(live)::int as live, sum(due)::int as due, sum(failed)::int as failed
    from unnest(_changes) group by task_id),
  next as (
    select t.task_id, t.state as before, c.open, c.live, c.due, c.failed, tasker_engine.task_state(t.open + c.open, t.live + c.live,
      t.due + c.due, t.failed + c.failed, _is_started or t.state <> 'pending') as after
    from change c join tasker_engine.tasks t on t.task_id = c.task_id),
  settled as (
    update tasker_engine.tasks t
    set open = t.open + n.open, live = t.live + n.live, due = t.due + n.due, failed = t.failed + n.failed, state = n.after,
      moves = t.moves + (n.before <> n.after)::int,
      finished_at = case when n.after in ('complete', 'error') then _now end
    from next n where t.task_id = n.task_id
    returning t.task_id, t.moves, n.before, n.after),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
    select task_id, 0, moves, before, after, _now from settled where before <> after)
  select task_id, after::text from settled where before <> after and after in ('complete', 'error');
end $$;
