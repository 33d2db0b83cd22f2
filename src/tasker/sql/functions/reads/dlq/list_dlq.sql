-- list_dlq: a page of entries, newest first (by id, which carries the time). Null filters nothing; _before: the id that the last
-- page ended with. state: that of the task now; minutes: since the entry was made.
--
-- priority_score: which to look at first: by reason, and by how long the entry has waited. With _by_priority the most urgent of
-- the thousand oldest pending entries come first.
create or replace function tasker_engine.list_dlq(
  _limit int, _before uuid default null, _statuses text[] default null, _reasons text[] default null, _namespaces text[] default null,
  _assigned_to text default null, _task_ids uuid[] default null, _entry_ids uuid[] default null, _by_priority boolean default false,
  _offset int default 0, _now timestamptz default null)
returns table (
  entry_id uuid, task_id uuid, namespace text, name text, version text, reason text, original_state text, status text, assigned_to text,
  notes text, resolved_by text, resolved_at timestamptz, snapshot jsonb, metadata jsonb, created_at timestamptz, updated_at timestamptz,
  state text, state_since timestamptz, minutes double precision, priority_score double precision)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on set enable_hashjoin = off
set enable_mergejoin = off set join_collapse_limit = 1 as $$
#variable_conflict use_column
begin
  if _limit not between 1 and 500 then
    raise exception 'a page has 1 to 500 entries, not %', _limit using errcode = 'TK008';
  end if;
  _now := coalesce(_now, clock_timestamp());
  return query
  with wanted as materialized (
    select d.* from tasker_engine.dlq d
    where (_before is null or d.entry_id < _before) and (_statuses is null or d.status = any (_statuses))
      and (_reasons is null or d.reason = any (_reasons)) and (_assigned_to is null or d.assigned_to = _assigned_to)
      and (_task_ids is null or d.task_id = any (_task_ids)) and (_entry_ids is null or d.entry_id = any (_entry_ids))
      and (_namespaces is null or d.namespace_id in (
        select n.namespace_id from tasker_engine.namespaces n where n.name = any (_namespaces)))
    order by case when _by_priority then d.entry_id end, d.entry_id desc
    limit case when _by_priority then 1000 else _limit end offset case when _by_priority then 0 else _offset end),
  scored as (
    select w.*, greatest(0, date_part('epoch', _now - w.created_at)) / 60 as minutes,
      greatest(0, date_part('epoch', _now - w.created_at)) / 60 + case w.reason
      when 'dependency_cycle_detected' then 1000 when 'max_retries_exceeded' then 500 when 'staleness_timeout' then 100
      when 'worker_unavailable' then 50 else 10 end as priority_score
    from wanted w)
  select s.entry_id, s.task_id, s.snapshot ->> 'namespace', s.snapshot ->> 'name', s.snapshot ->> 'version', s.reason,
    s.original_state::text, s.status, s.assigned_to, s.notes, s.resolved_by, s.resolved_at, s.snapshot, s.metadata, s.created_at,
    s.updated_at, t.state::text, h.at, s.minutes, s.priority_score
  from (
    select * from scored order by case when _by_priority then priority_score end desc, entry_id desc
    limit _limit offset case when _by_priority then _offset else 0 end) s
  left join lateral (select * from tasker_engine.tasks t where t.task_id = s.task_id offset 0) t on true
  left join lateral (
    select max(h.at) as at from tasker_engine.transitions h where h.task_id = s.task_id and h.number = 0) h on true
  order by case when _by_priority then s.priority_score end desc, s.entry_id desc;
end $$;

-- read_dlq_events: what was done to entries, in order.
create or replace function tasker_engine.read_dlq_events(_entry_ids uuid[])
returns table (entry_id uuid, seq int, at timestamptz, actor text, action text, detail jsonb) language plpgsql stable as $$
begin
  return query select e.* from tasker_engine.dlq_events e where e.entry_id = any (_entry_ids) order by e.entry_id, e.seq;
end $$;

-- dlq_stats: by reason, how many entries there are and what became of them. Reasons without entries are there too.
create or replace function tasker_engine.dlq_stats(_namespaces text[] default null)
returns table (
  reason text, total bigint, pending bigint, manually_resolved bigint, permanent_failures bigint, cancelled bigint,
  oldest timestamptz, newest timestamptz, avg_resolution_minutes double precision) language plpgsql stable
set enable_seqscan = on set enable_hashjoin = on as $$
#variable_conflict use_column
begin
  return query
  select r.reason, count(d.entry_id), count(*) filter (where d.status = 'pending'), count(*) filter (where d.status = 'manually_resolved'),
    count(*) filter (where d.status = 'permanently_failed'), count(*) filter (where d.status = 'cancelled'), min(d.created_at), max(d.created_at),
    avg(date_part('epoch', d.resolved_at - d.created_at)) / 60
  from unnest(array['staleness_timeout', 'max_retries_exceeded', 'dependency_cycle_detected', 'worker_unavailable', 'manual_dlq'])
    with ordinality as r(reason, place)
  left join tasker_engine.dlq d on d.reason = r.reason and (_namespaces is null or d.namespace_id in (
    select n.namespace_id from tasker_engine.namespaces n where n.name = any (_namespaces)))
  group by r.reason, r.place order by r.place;
end $$;

-- list_stale: the tasks that have stood still for longest, measured by what they may, among the thousand oldest open ones.
create or replace function tasker_engine.list_stale(_limit int, _namespaces text[] default null, _now timestamptz default null)
returns table (
  task_id uuid, namespace text, name text, version text, state text, since timestamptz, still_minutes double precision,
  age_minutes double precision, threshold_minutes double precision, health text, priority int) language plpgsql stable as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select j.task_id, n.name, p.name, p.version, j.state::text, j.since, j.still_s / 60, j.age_s / 60, j.threshold_s / 60, j.health, i.priority
  from tasker_engine.judge_staleness(
    tasker_engine.next_open_tasks('00000000-0000-0000-0000-000000000000', 1000, _now + interval '1 day'), _now) j
  join tasker_engine.tasks t on t.task_id = j.task_id
  join tasker_engine.inputs i on i.task_id = j.task_id
  join tasker_engine.templates p on p.template_id = t.template_id
  join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
  where _namespaces is null or n.name = any (_namespaces)
  order by j.still_s / j.threshold_s desc, j.task_id limit _limit;
end $$;
