-- read_why: every condition that keeps the open steps of these tasks from going on, as data and in words: one row a task.
--
-- said: the task in a sentence. steps: an array of {number, name, state, handler, queue, conditions}, by number, without the
-- steps that are done; conditions: an array of {kind, said, …}. The kinds are those of the functions why_… beside this one.
-- Each is one query a task, and none reads more than its own rows and the heads of the lanes that its steps lie in.
create or replace function tasker_engine.read_why(_task_ids uuid[], _now timestamptz default null)
returns table (task_id uuid, state text, is_paused boolean, said text, steps json)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on
set enable_indexonlyscan = on set enable_hashjoin = on set enable_mergejoin = off set enable_nestloop = off
set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
declare
  task tasker_engine.tasks;
begin
  _now := coalesce(_now, clock_timestamp());
  for task in
    select t.* from unnest(_task_ids) with ordinality as asked(task_id, place)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t order by asked.place
  loop
    return query
    with condition as materialized (
      select c.number, min(c.place) as place, jsonb_agg(jsonb_build_object('kind', c.kind, 'said', c.said) || c.data order by c.place) as found
      from tasker_engine.step_conditions(task, _now) c group by c.number),
    open_step as (
      select s.number, p.name || coalesce('_' || i.batch_id, '') as name, s.state, h.handler, h.queue, c.found
      from tasker_engine.steps s
      join tasker_engine.plan_of(task.template_id) p on p.number = tasker_engine.plan_number(s.number)
      join tasker_engine.channels h on h.channel_id = p.channel_id
      left join tasker_engine.batch_items i on i.task_id = task.task_id and i.number = s.number
      left join condition c on c.number = s.number
      where s.task_id = task.task_id and s.state not in ('complete', 'resolved_manually', 'cancelled'))
    select task.task_id, task.state::text, task.paused_at is not null, tasker_engine.why_task(task, _now),
      coalesce((
        select json_agg(json_build_object('number', o.number, 'name', o.name, 'state', o.state, 'handler', o.handler,
          'queue', o.queue, 'conditions', coalesce(o.found, '[]')) order by o.number) from open_step o), '[]');
  end loop;
end $$;

-- step_conditions: all conditions of a task's steps, each kind in its place.
create or replace function tasker_engine.step_conditions(_task tasker_engine.tasks, _now timestamptz)
returns table (place int, number int, kind text, said text, data jsonb) language plpgsql stable as $$
begin
  return query select 1, w.* from tasker_engine.why_running(_task.task_id, _task.template_id, _now) w;
  if _task.failed > 0 then
    return query select 2, w.* from tasker_engine.why_failed(_task.task_id, _task.template_id) w;
    return query select 3, w.* from tasker_engine.why_blocked(_task.task_id, _task.template_id) w;
  end if;
  return query select 4, w.* from tasker_engine.why_parents(_task.task_id, _task.template_id) w;
  return query select 4, w.* from tasker_engine.why_batch(_task.task_id) w;
  if _task.due > 0 then
    return query select 5, w.* from tasker_engine.why_due(_task.task_id, _task.template_id, _now) w;
  end if;
  if _task.paused_at is not null then
    return query select 6, w.* from tasker_engine.why_paused(_task, _now) w;
  end if;
  if _task.live > 0 then
    return query select 6, w.* from tasker_engine.why_queue_paused(_task, _now) w;
    return query select 7, w.* from tasker_engine.why_unserved(_task, _now) w;
    return query select 8, w.* from tasker_engine.why_breaker(_task, _now) w;
    return query select 9, w.* from tasker_engine.why_in_line(_task, _now) w;
  end if;
end $$;

-- why_task: where a task stands, in a sentence.
create or replace function tasker_engine.why_task(_task tasker_engine.tasks, _now timestamptz) returns text
language plpgsql stable as $$
begin
  return case
    when _task.state in ('complete', 'cancelled', 'resolved_manually') then
      format('the task is %s since %s: it waits for nothing', _task.state, tasker_engine.said_time(_task.finished_at))
    when _task.paused_at is not null then (
      select 'the task is paused' || coalesce(' by ' || p.by, '') || ' since ' || tasker_engine.said_time(_task.paused_at)
      from (select max(w.data ->> 'by') as by from tasker_engine.pause_of(_task.task_id) w) p)
    when _task.state = 'error' and _task.failed = 0 then
      'nothing can move, and no step has failed: its open steps wait for each other'
    when _task.state = 'error' then
      format('nothing can move: %s of its steps failed for good; retry, resolve or complete them', _task.failed)
    when _task.born_at > _now then 'the task starts at ' || tasker_engine.said_time(_task.born_at)
    when _task.due = _task.live then 'all that can move waits for a time'
    else format('%s steps are open, %s can move by themselves, %s of these wait for a time', _task.open, _task.live, _task.due)
  end;
end $$;

-- plan_of: the steps of a template, read once, to be joined by their numbers.
create or replace function tasker_engine.plan_of(_template_id int) returns setof tasker_engine.template_steps
language plpgsql stable rows 100 as $$
begin
  return query select * from tasker_engine.template_steps p where p.template_id = _template_id;
end $$;

-- said_time, said_s: a moment, and a number of seconds, in words.
create or replace function tasker_engine.said_time(_at timestamptz) returns text language sql stable as $$
  select to_char(_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
$$;

create or replace function tasker_engine.said_s(_seconds double precision) returns text language sql immutable as $$
  select case
    when _seconds < 1 then 'less than a second'
    when _seconds < 120 then round(_seconds) || ' s'
    when _seconds < 7200 then round(_seconds / 60) || ' min'
    when _seconds < 172800 then round(_seconds / 3600) || ' h'
    else round(_seconds / 86400) || ' days'
  end
$$;
