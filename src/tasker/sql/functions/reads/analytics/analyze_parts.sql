-- levels_at_work: for each level of a graph how many steps stand where: what could run at once, and what does.
create or replace function tasker_engine.levels_at_work(_levels int[], _states text[]) returns json language sql stable as $$
  select json_agg(json_build_object('level', w.level, 'steps', w.steps, 'done', w.done, 'running', w.running, 'ready', w.ready,
    'waiting', w.waiting, 'failed', w.failed, 'not_taken', w.not_taken) order by w.level)
  from (
    select l.level, count(*) as steps, count(*) filter (where l.state in ('complete', 'resolved_manually')) as done,
      count(*) filter (where l.state = 'in_progress') as running, count(*) filter (where l.state = 'enqueued') as ready,
      count(*) filter (where l.state in ('pending', 'waiting_for_retry')) as waiting, count(*) filter (where l.state = 'error') as failed,
      count(*) filter (where l.state = 'not_taken') as not_taken
    from unnest(_levels, _states) as l(level, state) group by l.level) w
$$;

-- bottlenecks_of: the ten steps that hold up the most, of those that can move or have failed. impact: five for each open step
-- below, fifteen for each open child, twice that where it failed (more where its tries are used up); three for each try, ten
-- where it may not be retried, twenty where its tries are used up. severity: critical from 100 on, high from 50, medium from 20.
create or replace function tasker_engine.bottlenecks_of(_task tasker_engine.tasks, _names text[], _states text[], _below int[]) returns json
language plpgsql stable as $$
begin
  return (
    with known as (
      select s.number, s.state, s.tries, s.error, p.max_attempts, p.is_retryable, s.tries >= p.max_attempts as is_exhausted,
        (select count(*) from unnest(p.children) c where _states[c] in ('pending', 'error')) as children
      from tasker_engine.steps s
      join tasker_engine.plan_of(_task.template_id) p on p.number = s.number
      where s.task_id = _task.task_id and s.number < 65536
        and (s.state in ('enqueued', 'in_progress', 'waiting_for_retry', 'error') or s.state = 'pending' and s.waiting = 0)),
    scored as (
      select k.*, (5 * _below[k.number] + 15 * k.children)
          * case when k.state = 'error' then 2.0 + case when k.is_exhausted then 0.5 else 0 end else 1 end
        + 3 * k.tries + case when k.is_retryable then 0 else 10 end + case when k.is_exhausted and k.state = 'error' then 20 else 0 end as impact
      from known k),
    first as (select * from scored order by impact desc, number limit 10)
    select coalesce(json_agg(json_build_object('number', f.number, 'name', _names[f.number], 'state', f.state, 'impact', f.impact,
      'severity', case when f.impact >= 100 then 'critical' when f.impact >= 50 then 'high' when f.impact >= 20 then 'medium' else 'low' end,
      'downstream', _below[f.number], 'children', f.children, 'tries', f.tries, 'max_attempts', f.max_attempts,
      'advice', case f.state when 'error' then 'retry it, resolve it, or give it its result by hand'
        when 'waiting_for_retry' then 'wait for its next try, or retry it now'
        when 'enqueued' then 'see that workers have its handler and room'
        when 'in_progress' then 'wait, or look at the worker that runs it' else 'wait for its start time' end)
      order by f.impact desc, f.number), '[]') from first f);
end $$;

-- error_chains_of: failed steps, those first that hold up the most, with what they hold up: up to twenty names.
create or replace function tasker_engine.error_chains_of(
  _task tasker_engine.tasks, _names text[], _states text[], _reach bit varying[]) returns json language plpgsql stable as $$
begin
  if not ('error' = any (_states)) then
    return '[]';
  end if;
  return (
    with failed as (
      select w.number::int as number, bit_count(_reach[w.number])::int as downstream from unnest(_states) with ordinality as w(state, number)
      where w.state = 'error' order by 2 desc, 1 limit 20)
    select coalesce(json_agg(json_build_object('number', s.number, 'name', _names[s.number], 'error', s.error, 'tries', s.tries,
      'max_attempts', p.max_attempts, 'is_retryable', p.is_retryable, 'failed_at', s.finished_at, 'downstream', f.downstream,
      'holds_up', array(
        select _names[n] from generate_subscripts(_names, 1) n where get_bit(_reach[f.number], n - 1) = 1 order by n limit 20))
      order by f.downstream desc, s.number), '[]')
    from failed f
    join (select * from tasker_engine.steps n where n.task_id = _task.task_id and n.number < 65536) s on s.number = f.number
    join tasker_engine.plan_of(_task.template_id) p on p.number = s.number);
end $$;
