-- record_successes: steps whose fence holds and whose task is locked become complete. Answers which, and how
-- the counters of their tasks change, one row per step.
create or replace function tasker_engine.record_successes(
  _session int, _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _payloads text[],
  _run_s double precision[], _now timestamptz, out done_tasks uuid[], out done_numbers int[],
  out changes tasker_engine.task_change[]) language plpgsql as $$
begin
  with recorded as (
    update tasker_engine.steps s
    set state = 'complete', result = o.payload::jsonb, result_bytes = octet_length(o.payload), tries = s.tries + 1,
      is_suspect = false, moves = s.moves + 1, finished_at = _now,
      started_at = greatest(s.granted_at, _now - make_interval(secs => o.run_s))
    from (
      select o.* from unnest(_task_ids, _numbers, _attempts, _kinds, _payloads, _run_s)
        as o(task_id, number, attempt, kind, payload, run_s)
      join unnest(_held) h on h.task_id = o.task_id where o.kind in ('succeeded', 'decided', 'batched') offset 0) o
    where s.task_id = o.task_id and s.number = o.number
      and s.state = 'in_progress' and s.attempt = o.attempt and s.session_id = _session
    returning s.task_id, s.number, s.attempt, s.moves),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at)
    select task_id, number, moves, 'in_progress', 'complete', attempt, _session, _now from recorded)
  select coalesce(array_agg(task_id), '{}'), coalesce(array_agg(number), '{}'),
    coalesce(array_agg(row(task_id, -1, -1, 0, 0)::tasker_engine.task_change), '{}')
  into done_tasks, done_numbers, changes from recorded;
end $$;
