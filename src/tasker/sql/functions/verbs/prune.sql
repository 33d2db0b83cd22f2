-- prune: deletes what is older than the setting retention_s (0: nothing), a little in each call. One process at a time; the others
-- answer at once. A round goes through all that has ended, and `more` says that it is not over.
create or replace function tasker_engine.prune(_most int default 1000, _now timestamptz default null) returns jsonb language plpgsql as $$
declare
  keep_s double precision := tasker_engine.setting('retention_s');
  before timestamptz;
  tasks record;
  others int;
begin
  perform tasker_engine.require_read_committed();
  if keep_s <= 0 or not pg_try_advisory_xact_lock(tasker_engine.session_lock_class(), -2) then
    return '{"tasks": 0, "others": 0, "more": false}';
  end if;
  _now := tasker_engine.clock(_now);
  before := _now - make_interval(secs => keep_s);
  select p.* into tasks from tasker_engine.sweeps w
  cross join lateral tasker_engine.prune_tasks(before, w.pruned_at, w.pruned_id, _most) p;
  update tasker_engine.sweeps set pruned_at = coalesce(tasks.last_at, '-infinity'),
    pruned_id = coalesce(tasks.last_id, '00000000-0000-0000-0000-000000000000')
  where pruned_at > '-infinity' or tasks.last_at is not null;
  others := tasker_engine.prune_others(before, _most, _now);
  return jsonb_build_object('tasks', tasks.pruned, 'others', others, 'more', tasks.last_at is not null or others >= _most);
end $$;

-- prune_others: sessions and jobs that ended before _before, moves of breakers, and times that nothing waits for any more.
-- At most _most of each kind; answers the largest count.
create or replace function tasker_engine.prune_others(_before timestamptz, _most int, _now timestamptz) returns int language plpgsql
set plan_cache_mode = force_custom_plan set enable_indexscan = on set jit = off as $$
declare
  counts int[] := '{}';
  count int;
begin
  delete from tasker_engine.sessions s where s.session_id = any (array(
    select e.session_id from tasker_engine.sessions e
    where e.ended_at < _before and not exists (select from tasker_engine.grants g where g.session_id = e.session_id)
    order by e.session_id limit _most));
  get diagnostics count = row_count;
  counts := counts || count;
  delete from tasker_engine.jobs j where j.job_id = any (array(
    select e.job_id from tasker_engine.jobs e where e.finished_at < _before order by e.job_id limit greatest(1, _most / 100)));
  get diagnostics count = row_count;
  counts := counts || count;
  delete from tasker_engine.breaker_moves m where (m.breaker_id, m.seq) in (
    select e.breaker_id, e.seq from tasker_engine.breaker_moves e where e.at < _before order by e.breaker_id, e.seq limit _most);
  get diagnostics count = row_count;
  counts := counts || count;
  delete from tasker_engine.due d where d.ctid = any (array(
    select e.ctid from tasker_engine.due e
    where e.due_at < _now - interval '1 h' and not exists (
      select from tasker_engine.steps s where s.task_id = e.task_id and s.number = e.number)
    order by e.due_at limit _most));
  get diagnostics count = row_count;
  return (select max(c) from unnest(counts || count) c);
end $$;

-- count_prunable: how many tasks ended before _before, up to _most.
create or replace function tasker_engine.count_prunable(_before timestamptz, _most int) returns int language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_indexscan = on set enable_indexonlyscan = on as $$
begin
  return (select count(*) from (
    select from tasker_engine.tasks t where t.finished_at < _before and t.template_id > 0 limit _most) t);
end $$;
