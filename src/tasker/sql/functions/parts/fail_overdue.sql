-- fail_overdue: attempts that are past their timeout although their worker still beats count as timed out: its own timer
-- should have ended them. They belong to the session no longer: what it reports of them is stale. Answers how many.
create or replace function tasker_engine.fail_overdue(_most int, _now timestamptz) returns int language plpgsql as $$
declare
  late record;
  undone record;
  failed int := 0;
begin
  for late in
    select g.session_id, array_agg(s.task_id) as task_ids, array_agg(s.number) as numbers, array_agg(s.attempt) as attempts
    from tasker_engine.grants g
    cross join lateral unnest(g.task_ids, g.numbers) as h(task_id, number)
    join tasker_engine.steps s on s.task_id = h.task_id and s.number = h.number
    join tasker_engine.tasks t on t.task_id = s.task_id
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = t.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) ts  -- offset 0: probed by the whole key
    where s.state = 'in_progress' and s.session_id = g.session_id
      and s.started_at + make_interval(secs => ts.timeout_s + tasker_engine.setting('overdue_grace_s')) < _now
    group by g.session_id limit _most
  loop
    select * into undone from tasker_engine.record_failures(
      late.session_id, tasker_engine.lock_tasks(late.task_ids, false), late.task_ids, late.numbers, late.attempts,
      array_fill('retryable'::text, array[cardinality(late.task_ids)]),
      array_fill('{"error_type": "timeout", "message": "the step ran past its timeout", "retryable": true}'::text,
        array[cardinality(late.task_ids)]), '{}', '{}', _now, null);
    update tasker_engine.steps s set session_id = null from unnest(undone.done_tasks, undone.done_numbers) as d(task_id, number)
    where s.task_id = d.task_id and s.number = d.number;
    perform tasker_engine.record_events(undone.done_tasks, undone.done_numbers, _now);
    perform tasker_engine.settle_members(undone.changes,
      tasker_engine.ended_members('{}', '{}', undone.done_tasks, undone.done_numbers, undone.changes), _now);
    failed := failed + cardinality(undone.done_tasks);
  end loop;
  return failed;
end $$;
