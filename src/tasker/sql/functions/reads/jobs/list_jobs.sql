-- list_jobs: jobs, newest first (by id). Null filters nothing; _before: the id that the last page ended with.
create or replace function tasker_engine.list_jobs(
  _limit int, _before uuid default null, _statuses text[] default null, _job_ids uuid[] default null)
returns setof tasker_engine.jobs language plpgsql stable as $$
begin
  return query
  select j.* from tasker_engine.jobs j
  where (_before is null or j.job_id < _before) and (_statuses is null or j.status = any (_statuses))
    and (_job_ids is null or j.job_id = any (_job_ids))
  order by j.job_id desc limit _limit;
end $$;

-- list_job_items: what became of the tasks of a job, by task id from _after on.
create or replace function tasker_engine.list_job_items(
  _job_id uuid, _limit int, _after uuid default null, _statuses text[] default null)
returns table (task_id uuid, status text, said text, at timestamptz) language plpgsql stable as $$
begin
  return query
  select i.task_id, i.status, i.said, i.at from tasker_engine.job_items i
  where i.job_id = _job_id and (_after is null or i.task_id > _after) and (_statuses is null or i.status = any (_statuses))
  order by i.task_id limit _limit;
end $$;

-- read_lineage: where tasks come from and what came from them, as far as it goes (fifty generations): one row for each fork.
create or replace function tasker_engine.read_lineage(_task_id uuid)
returns table (task_id uuid, origin_id uuid, from_step text, is_edited boolean, copied int, actor text, reason text, at timestamptz, state text)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with recursive up(task_id, generation) as (
    select _task_id, 0
    union all
    select f.origin_id, u.generation + 1 from up u join tasker_engine.forks f on f.task_id = u.task_id where u.generation < 50),
  family(task_id, generation) as (
    select u.task_id, 0 from (select u.task_id from up u order by u.generation desc limit 1) u
    union all
    select f.task_id, y.generation + 1 from family y join tasker_engine.forks f on f.origin_id = y.task_id where y.generation < 50)
  select f.task_id, f.origin_id, p.name, f.is_edited, f.copied, f.actor, f.reason, f.at, t.state::text
  from family y
  join tasker_engine.forks f on f.task_id = y.task_id
  join tasker_engine.tasks t on t.task_id = f.task_id
  join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = f.from_number
  order by f.at, f.task_id;
end $$;
