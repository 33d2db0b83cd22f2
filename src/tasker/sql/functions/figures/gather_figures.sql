-- Figures of what ended: kept by the sweep, so that a million tasks need not be read to tell how they fared.

-- duration_bucket: the bucket of a duration. Each is a tenth wider than the one before; bucket 0 begins at a second.
create or replace function tasker_engine.duration_bucket(_seconds double precision) returns int language sql immutable parallel safe as $$
  select floor(ln(greatest(_seconds, 0.00001)) / ln(1.1))::int
$$;

-- bucket_s: the duration that stands for all in a bucket: none of them is further from it than a twentieth of itself.
create or replace function tasker_engine.bucket_s(_bucket int) returns double precision language sql immutable parallel safe as $$
  select power(1.1, _bucket + 0.5)
$$;

-- keep_figures: gathers, at a pace: every ten seconds. Where one call is not enough, the next follows at once if some session
-- idles, and otherwise so that a fiftieth of the time goes into it. Each call replaces the rows that it adds to, and while some
-- snapshot is open every later one passes what was replaced: so calls are few and large. Answers how many tasks.
create or replace function tasker_engine.keep_figures(_limit int, _now timestamptz) returns int language plpgsql as $$
declare
  sweep tasker_engine.sweeps;
  began timestamptz := clock_timestamp();
  gathered int;
begin
  select * into sweep from tasker_engine.sweeps;
  if _now < sweep.figures_at + make_interval(secs => case
      when not sweep.figures_lag then 10
      when (select bool_and(not s.is_idle) from tasker_engine.sessions s where s.ended_at is null) then sweep.figures_s * 50
      else 0 end) then
    return 0;
  end if;
  gathered := tasker_engine.gather_figures(_limit, _now);
  if gathered is not null then
    update tasker_engine.sweeps set figures_at = _now, figures_lag = gathered >= _limit,
      figures_s = extract(epoch from clock_timestamp() - began);
  end if;
  return coalesce(gathered, 0);
end $$;

-- gather_figures: adds the next _limit tasks that ended to the figures, in the order in which they ended; answers how many,
-- or null where it is too early for any.
--
-- A task that ended may be committed after one that ended later, so only those count that ended before a moment since when every
-- transaction of that time is over (for one that stays open longer than a minute nobody waits). A task that somebody revives
-- counts again when it ends again, and of its steps those that ended since. Figures are kept for four hundred days.
create or replace function tasker_engine.gather_figures(_limit int, _now timestamptz) returns int language plpgsql
set enable_indexscan = on set enable_seqscan = off as $$
declare
  sweep tasker_engine.sweeps;
  ids uuid[];
  last_at timestamptz;
begin
  select * into sweep from tasker_engine.sweeps;
  if pg_snapshot_xmin(pg_current_snapshot()) < sweep.figures_seen_before and _now < sweep.figures_seen_at + interval '1 min' then
    return null;
  end if;
  select array_agg(e.task_id order by e.finished_at, e.task_id), max(e.finished_at) into ids, last_at
  from (
    select t.task_id, t.finished_at from tasker_engine.tasks t
    where (t.finished_at, t.task_id) > (sweep.figures_until, sweep.figures_id) and t.finished_at < sweep.figures_seen_at
      and t.finished_at is not null and t.template_id > 0
    order by t.finished_at, t.task_id limit _limit) e;
  perform tasker_engine.add_figures(ids) where ids is not null;
  if cardinality(ids) >= _limit then
    update tasker_engine.sweeps set figures_until = last_at, figures_id = ids[cardinality(ids)];
    return _limit;
  end if;
  -- The snapshot of a later statement: whoever has read the clock until now has a transaction of its own by then.
  update tasker_engine.sweeps set figures_until = greatest(figures_until, figures_seen_at), figures_id = '00000000-0000-0000-0000-000000000000',
    figures_seen_at = _now, figures_seen_before = pg_snapshot_xmax(pg_current_snapshot());
  delete from tasker_engine.figures f where f.at < _now - interval '400 days';
  return coalesce(cardinality(ids), 0);
end $$;

-- add_figures: counts these tasks, and the steps of theirs that ran.
create or replace function tasker_engine.add_figures(_task_ids uuid[]) returns void language plpgsql
set enable_indexscan = on set enable_hashjoin = on set enable_seqscan = off as $$
begin
  with ended as materialized (
    select t.task_id, t.template_id, t.state, t.finished_at, t.born_at, (
      select max(h.at) from tasker_engine.transitions h
      where h.task_id = t.task_id and h.number = 0 and h.at < t.finished_at and h.to_state in ('complete', 'error', 'cancelled', 'resolved_manually')
        and exists (select from tasker_engine.acts a where a.task_id = t.task_id)) as ended_before
    from unnest(_task_ids) as wanted(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = wanted.task_id offset 0) t),
  measured as (
    select e.finished_at, e.template_id, 0 as number, e.state = 'error' as is_error, e.state = 'cancelled' as is_cancelled, 0 as retries,
      greatest(0, extract(epoch from e.finished_at - e.born_at)::float8) as took_s, e.finished_at as last_at
    from ended e
    union all
    select e.finished_at, e.template_id, tasker_engine.plan_number(s.number), s.state = 'error', false, greatest(0, s.tries - 1),
      greatest(0, extract(epoch from s.finished_at - coalesce(s.started_at, s.granted_at))::float8), s.finished_at
    from ended e
    cross join lateral (select * from tasker_engine.steps s where s.task_id = e.task_id offset 0) s
    where s.granted_at is not null and s.finished_at is not null and s.state in ('complete', 'error')
      and (e.ended_before is null or s.finished_at > e.ended_before))
  insert into tasker_engine.figures as f
    (at, template_id, number, bucket, count, errors, cancelled, retries, total_s, min_s, max_s, last_at)
  select date_trunc('hour', m.finished_at, 'UTC'), m.template_id, m.number, tasker_engine.duration_bucket(m.took_s), count(*),
    count(*) filter (where m.is_error), count(*) filter (where m.is_cancelled), sum(m.retries), sum(m.took_s), min(m.took_s), max(m.took_s),
    max(m.last_at)
  from measured m group by 1, 2, 3, 4
  order by 1, 2, 3, 4
  on conflict (at, template_id, number, bucket) do update set
    count = f.count + excluded.count, errors = f.errors + excluded.errors, cancelled = f.cancelled + excluded.cancelled,
    retries = f.retries + excluded.retries, total_s = f.total_s + excluded.total_s, min_s = least(f.min_s, excluded.min_s),
    max_s = greatest(f.max_s, excluded.max_s), last_at = greatest(f.last_at, excluded.last_at);
end $$;
