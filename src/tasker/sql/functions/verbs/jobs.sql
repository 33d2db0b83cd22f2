-- create_job: an action (cancel, pause, resume, or retry of what failed) on all tasks that a filter lets through and that exist
-- now. An empty filter is refused, and so is one that lets more through than _tasks_max. A repeat with the same id answers the
-- same. The tasks are looked for and acted on by drive_job, from the newest to the oldest. The filter of a confined caller's job
-- names the namespaces that it reaches, whoever drives it.
create or replace function tasker_engine.create_job(
  _job_id uuid, _action text, _filter jsonb, _actor text, _reason text default null, _tasks_max int default 10000, _now timestamptz default null)
returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  matched record;
begin
  if exists (select from tasker_engine.jobs j where j.job_id = _job_id) then
    return _job_id;
  end if;
  _now := tasker_engine.clock(_now);
  perform tasker_engine.check_job_filter(_filter);
  _filter := tasker_engine.confined_filter(_filter);
  if _action <> all (array['cancel', 'pause', 'resume', 'retry']) then
    raise exception 'there is no action "%" on many tasks: it is one of cancel, pause, resume, retry', _action using errcode = 'TK008';
  end if;
  select c.count, c.is_exact into matched from tasker_engine.count_tasks(_filter, _tasks_max + 1) c;
  if matched.count > _tasks_max then
    raise exception 'the filter lets more than % tasks through', _tasks_max using errcode = 'TK012',
      hint = 'narrow it, or allow more tasks';
  end if;
  insert into tasker_engine.jobs (job_id, action, filter, namespaces, actor, reason, tasks_max, matched, below, created_at, updated_at)
  values (_job_id, _action, _filter, case
      when _filter ? 'namespaces' then array(select jsonb_array_elements_text(_filter -> 'namespaces'))
      when _filter ? 'namespace' then array[_filter ->> 'namespace'] end, _actor, _reason, _tasks_max, matched.count, tasker_engine.uuid7_floor(_now + interval '1 second'), _now, _now);
  return _job_id;
end $$;

-- check_job_filter: an action on many tasks says which; the namespaces that a caller may reach say nothing.
create or replace function tasker_engine.check_job_filter(_filter jsonb) returns void language plpgsql as $$
begin
  perform tasker_engine.read_filter(_filter);
  if not exists (
      select from jsonb_each(_filter - 'namespaces') e where e.value not in ('null', '[]', '{}', '""')) then
    raise exception 'an action on many tasks needs a filter that says which' using errcode = 'TK008',
      hint = 'name a state, a template, a tag, a time or a field';
  end if;
end $$;

-- drive_job: the next tasks of a job, at most _most: each is acted on, or refused with the reason, and that is kept with it. A
-- task that another verb holds comes again later. Everything is one transaction: a job whose driver died goes on where it was.
-- Answers the job's row as an object; `drove` is how many tasks this call has seen to (null: another process is at it).
create or replace function tasker_engine.drive_job(_job_id uuid, _most int default 50, _now timestamptz default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  job tasker_engine.jobs;
  next_ids uuid[];
  held uuid[];
  one uuid;
  refusal text;
begin
  perform tasker_engine.require_read_committed();
  perform tasker_engine.require_job(_job_id);
  select * into job from tasker_engine.jobs j where j.job_id = _job_id and j.status = 'running' for no key update skip locked;
  if not found then
    return (select to_jsonb(j) || jsonb_build_object('drove', case when j.status = 'running' then null else 0 end)
            from tasker_engine.jobs j where j.job_id = _job_id);
  end if;
  _now := tasker_engine.clock(_now);
  next_ids := tasker_engine.next_job_tasks(job.filter, job.below, greatest(0, least(_most, job.tasks_max - job.done - job.refused - job.busy)));
  if cardinality(next_ids) > 0 then
    job.below := next_ids[cardinality(next_ids)];
  else
    next_ids := array(select i.task_id from tasker_engine.job_items i where i.job_id = _job_id and i.status = 'busy' limit _most);
    job.busy := job.busy - cardinality(next_ids);
  end if;
  held := tasker_engine.lock_tasks(next_ids, false);
  if job.action = 'cancel' then
    held := tasker_engine.lock_whole_tasks(held);
  end if;
  foreach one in array next_ids loop
    refusal := case when one = any (held) then tasker_engine.do_for_job(job, one, _now) else 'busy' end;
    job.done := job.done + (refusal is null)::int;
    job.busy := job.busy + coalesce(refusal = 'busy', false)::int;
    job.refused := job.refused + coalesce(refusal <> 'busy', false)::int;
    insert into tasker_engine.job_items as i (job_id, task_id, status, said, at)
    values (_job_id, one, case when refusal is null then 'done' when refusal = 'busy' then 'busy' else 'refused' end, nullif(refusal, 'busy'), _now)
    on conflict (job_id, task_id) do update set status = excluded.status, said = excluded.said, at = excluded.at;
  end loop;
  update tasker_engine.jobs j
  set below = job.below, done = job.done, refused = job.refused, busy = job.busy, updated_at = _now,
    status = case when job.busy = 0 and cardinality(next_ids) = 0 then 'done' else 'running' end,
    finished_at = case when job.busy = 0 and cardinality(next_ids) = 0 then _now end
  where j.job_id = _job_id;
  return (select to_jsonb(j) || jsonb_build_object('drove', cardinality(next_ids)) from tasker_engine.jobs j where j.job_id = _job_id);
end $$;

-- do_for_job: one action on one task, whose row the caller holds. Answers why it was refused; null: it is done. The act's id
-- follows from the job's and the task's, so that no task is acted on twice.
create or replace function tasker_engine.do_for_job(_job tasker_engine.jobs, _task_id uuid, _now timestamptz) returns text language plpgsql as $$
declare
  act uuid := md5(_job.job_id::text || _task_id)::uuid;
begin
  if _job.action = 'retry' then
    return case when tasker_engine.retry_failed(_task_id, act, _job.actor, _job.reason, _now) = 0 then 'no step of it has failed' end;
  end if;
  perform tasker_engine.act(act, _job.action, _task_id, null, null, null, _job.actor, _job.reason, null, tasker_engine.given_time(_now));
  return null;
exception when sqlstate 'TK010' or sqlstate 'TK012' then
  return sqlerrm;
end $$;

-- next_job_tasks: the next tasks below an id that a filter lets through, by a plan made for it.
create or replace function tasker_engine.next_job_tasks(_filter jsonb, _below uuid, _most int) returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
declare
  w record := tasker_engine.read_filter(_filter);
begin
  return array(
    select f.task_id from tasker_engine.filtered(w.states, w.templates, w.tags, w.correlation_id, w.initiator, w.lowest,
      least(_below, w.above), w.ended_from, w.ended_until, w.field_ids, w.field_values) f
    order by f.task_id desc limit _most);
end $$;

-- drive_jobs: the net under jobs: the oldest that runs goes on. Answers how many tasks were seen to.
create or replace function tasker_engine.drive_jobs(_most int, _now timestamptz) returns int language plpgsql as $$
declare
  job uuid := (select j.job_id from tasker_engine.jobs j where j.status = 'running' order by j.job_id limit 1);
begin
  if job is null then
    return 0;
  end if;
  return coalesce((tasker_engine.drive_job(job, _most, tasker_engine.given_time(_now)) ->> 'drove')::int, 0);
end $$;

-- stop_job: a job that runs is stopped where it is; what it has done stays done. Answers whether it ran.
create or replace function tasker_engine.stop_job(_job_id uuid, _actor text) returns boolean language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.require_job(_job_id);
  update tasker_engine.jobs j set status = 'stopped', stopped_by = _actor, finished_at = clock_timestamp(), updated_at = clock_timestamp()
  where j.job_id = _job_id and j.status = 'running';
  if not found and not exists (select from tasker_engine.jobs j where j.job_id = _job_id) then
    raise exception 'there is no job %', _job_id using errcode = 'TK020', hint = '`tasker bulk list` shows those that there are';
  end if;
  return found;
end $$;
