-- verdicts: why each outcome that was not recorded now was not: `already` (it was recorded before), `deferred` (its task is
-- busy: send it again) or `stale` (the session does not hold this attempt).
create or replace function tasker_engine.verdicts(
  _session int, _locked uuid[], _task_ids uuid[], _numbers int[], _attempts int[], _done_tasks uuid[], _done_numbers int[])
returns setof tasker_engine.reply language plpgsql as $$
begin
  return query
  select 'verdict', o.task_id, o.number, o.attempt, null::int, null::int,
    case
      when s.task_id is not null and o.task_id <> all (_locked) then 'deferred'
      when s.attempt = o.attempt and s.session_id = _session
        and s.state in ('complete', 'error', 'waiting_for_retry', 'enqueued', 'pending') then 'already'
      else 'stale'
    end, null::json
  from unnest(_task_ids, _numbers, _attempts) as o(task_id, number, attempt)
  left join tasker_engine.steps s on s.task_id = o.task_id and s.number = o.number
  where not exists (select from unnest(_done_tasks, _done_numbers) as d(task_id, number)
                    where d.task_id = o.task_id and d.number = o.number);
end $$;
