-- What the analytics look at: tasks that ended within a time, the last _most of them, and the executions of their steps. Nothing
-- is sampled; where there are more tasks, the answer says from when on it covers the time.

-- ended_between: tasks with how long they took, from when they might begin. _namespaces, _name, _version null: all. The server
-- puts this query, and that of executed_steps, in the place of their calls: what a caller does not ask for is not read.
create or replace function tasker_engine.ended_between(
  _from timestamptz, _until timestamptz, _namespaces text[], _name text, _version text, _most int)
returns table (task_id uuid, template_id int, state tasker_engine.state, finished_at timestamptz, took_s double precision)
language sql stable as $$
  select t.task_id, t.template_id, t.state, t.finished_at, extract(epoch from t.finished_at - t.born_at)::float8
  from tasker_engine.tasks t
  where t.finished_at >= _from and t.finished_at < _until and t.template_id > 0
    and ((select tasker_engine.templates_of(_namespaces, _name, _version)) is null
      or t.template_id = any ((select tasker_engine.templates_of(_namespaces, _name, _version))::int[]))
  order by t.finished_at desc limit _most
$$;

-- executed_steps: the steps of these tasks that ran, with how long the last try took. retries: tries beyond the first.
create or replace function tasker_engine.executed_steps(
  _from timestamptz, _until timestamptz, _namespaces text[], _name text, _version text, _most int)
returns table (
  task_id uuid, template_id int, plan int, state tasker_engine.state, run_s double precision, retries int, finished_at timestamptz, error jsonb)
language sql stable as $$
  select t.task_id, t.template_id, tasker_engine.plan_number(s.number), s.state,
    greatest(0, extract(epoch from s.finished_at - coalesce(s.started_at, s.granted_at))::float8), greatest(0, s.tries - 1), s.finished_at,
    case when s.state = 'error' then s.error end
  from tasker_engine.ended_between(_from, _until, _namespaces, _name, _version, _most) t
  join tasker_engine.steps s on s.task_id = t.task_id
  where s.granted_at is not null and s.finished_at is not null and s.state in ('complete', 'error')
$$;

-- check_scope: how many tasks may be looked at.
create or replace function tasker_engine.check_scope(_most int) returns void language plpgsql as $$
begin
  if _most not between 1 and 1000000 then
    raise exception 'between 1 and 1000000 tasks are looked at, not %', _most using errcode = 'TK008';
  end if;
end $$;

-- templates_of: the ids of the versions that are meant; null: all.
create or replace function tasker_engine.templates_of(_namespaces text[], _name text, _version text) returns int[]
language plpgsql stable as $$
begin
  return case when num_nonnulls(_namespaces, _name, _version) > 0 then array(
    select t.template_id from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    where (_namespaces is null or n.name = any (_namespaces)) and (_name is null or t.name = _name)
      and (_version is null or t.version = _version)) end;
end $$;
