-- why_breaker (kind `breaker`): ready steps that wait because the breaker of the system which they depend on is not closed.
--
-- data: breaker, state, open_until (null: until somebody resets it, or while its probes decide), error (the step's own last one).
create or replace function tasker_engine.why_breaker(_task tasker_engine.tasks, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
declare
  barred int[] := tasker_engine.barred_channels();
begin
  if barred = '{}' then
    return;
  end if;
  return query
  select s.number, 'breaker', tasker_engine.breaker_says(b.name, b.state, b.open_until),
    jsonb_build_object('breaker', b.name, 'state', b.state, 'open_until', b.open_until, 'error', s.error ->> 'message')
  from tasker_engine.steps s
  join tasker_engine.plan_of(_task.template_id) p on p.number = tasker_engine.plan_number(s.number)
  join tasker_engine.channels c on c.channel_id = p.channel_id
  join tasker_engine.breakers b on b.breaker_id = c.breaker_id
  where s.task_id = _task.task_id and s.state = 'enqueued' and p.channel_id = any (barred) and b.state <> 'closed';
end $$;
