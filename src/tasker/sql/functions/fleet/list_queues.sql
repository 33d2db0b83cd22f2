-- waiting_in: how many of the first _count_max rows of a lane are steps that wait, and the time of the oldest one's task. Rows
-- of steps that were cancelled or resolved since lie there until somebody passes them.
create or replace function tasker_engine.waiting_in(_lane int, _bound bigint, _count_max int, out ready bigint, out born_at timestamptz)
language sql stable set enable_indexscan = on set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select count(*), min(w.born_at)
  from (
    select r.task_id, r.number, r.born_at from tasker_engine.ready r where r.lane = _lane and r.seq >= _bound
    order by r.seq limit _count_max) w
  join tasker_engine.steps s on s.task_id = w.task_id and s.number = w.number and s.state = 'enqueued'
$$;

-- list_queues: the queues of these namespaces (null: of all), with what lies in them and what is paused.
--
-- ready: steps that wait for a worker, counted up to _count_max; oldest_s: how old the task of the oldest one is; workers: living
-- sessions that serve it and take work. paused: the sentence of the pause that holds all of it, null where none does; pauses:
-- every pause that holds some of it, as an array of {queue, handler, actor, reason, since, until, said}.
create or replace function tasker_engine.list_queues(
  _namespaces text[] default null, _count_max int default 10000, _now timestamptz default null)
returns table (
  namespace text, queue text, handlers text[], ready int, oldest_s double precision, workers int, paused text, pauses json)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_indexscan = on set enable_indexonlyscan = on set enable_seqscan = off as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  with queue as materialized (
    select n.namespace_id, n.name as namespace, c.queue, array_agg(distinct c.handler) as handlers, array_agg(distinct c.channel_id) as channels
    from tasker_engine.namespaces n join tasker_engine.channels c on c.namespace_id = n.namespace_id
    where _namespaces is null or n.name = any (_namespaces)
    group by n.namespace_id, n.name, c.queue)
  select q.namespace, q.queue, q.handlers, least(_count_max, lying.ready)::int, date_part('epoch', _now - lying.born_at),
    (select count(distinct s.session_id)::int from tasker_engine.session_channels sc
     join tasker_engine.sessions s on s.session_id = sc.session_id
     where sc.channel_id = any (q.channels) and s.ended_at is null and s.wanted is null),
    held.paused, held.pauses
  from queue q
  cross join lateral (
    select coalesce(sum(r.ready), 0) as ready, min(r.born_at) as born_at
    from tasker_engine.lanes l
    cross join lateral tasker_engine.bound_of(l.lane) b
    cross join lateral (select * from tasker_engine.waiting_in(l.lane, b.bound, _count_max)) r
    where l.channel_id = any (q.channels)) lying
  cross join lateral (
    select min(tasker_engine.pause_says(p, q.namespace)) filter (where p.handler is null) as paused,
      coalesce(json_agg(json_build_object('queue', p.queue, 'handler', p.handler, 'actor', p.actor, 'reason', p.reason,
        'since', p.since, 'until', p.until, 'said', tasker_engine.pause_says(p, q.namespace)) order by p.pause_id), '[]') as pauses
    from tasker_engine.pauses p
    where p.namespace_id = q.namespace_id and p.ended_at is null and (p.queue is null or p.queue = q.queue)
      and (p.handler is null or p.handler = any (q.handlers))) held
  order by q.namespace, q.queue;
end $$;

-- list_pauses: pauses of these namespaces (null: of all), the newest first, those that have ended too.
create or replace function tasker_engine.list_pauses(_namespaces text[] default null, _limit int default 100)
returns table (
  namespace text, queue text, handler text, actor text, reason text, since timestamptz, until timestamptz,
  ended_at timestamptz, ended_by text, end_reason text, said text)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select n.name, p.queue, p.handler, p.actor, p.reason, p.since, p.until, p.ended_at, p.ended_by, p.end_reason,
    tasker_engine.pause_says(p, n.name)
  from tasker_engine.pauses p join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
  where _namespaces is null or n.name = any (_namespaces)
  order by p.pause_id desc limit _limit;
end $$;

-- read_fleet: what holds work up, in figures, none above _count_max: ready steps that no living worker can take, ready steps in
-- paused queues, pauses in force, and living workers by what is wanted of them.
create or replace function tasker_engine.read_fleet(_count_max int default 10000)
returns table (unserved_steps int, paused_steps int, pauses int, running_workers int, paused_workers int, draining_workers int)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_indexscan = on set enable_indexonlyscan = on set enable_seqscan = off as $$
#variable_conflict use_column
declare
  paused int[] := tasker_engine.paused_channels();
begin
  return query
  with judged as materialized (
    select c.channel_id, c.channel_id = any (paused) as is_paused, not exists (
      select from tasker_engine.session_channels sc join tasker_engine.sessions s on s.session_id = sc.session_id
      where sc.channel_id = c.channel_id and s.ended_at is null) as is_unserved
    from tasker_engine.channels c),
  waiting as (
    select coalesce(sum(r.ready) filter (where j.is_unserved), 0) as unserved, coalesce(sum(r.ready) filter (where j.is_paused), 0) as paused
    from judged j
    join tasker_engine.lanes l on l.channel_id = j.channel_id
    cross join lateral tasker_engine.bound_of(l.lane) b
    cross join lateral (select * from tasker_engine.waiting_in(l.lane, b.bound, _count_max)) r
    where j.is_paused or j.is_unserved)
  select least(_count_max, w.unserved)::int, least(_count_max, w.paused)::int,
    (select count(*)::int from tasker_engine.pauses p where p.ended_at is null),
    count(s.session_id) filter (where s.wanted is null)::int, count(s.session_id) filter (where s.wanted = 'paused')::int,
    count(s.session_id) filter (where s.wanted = 'drained')::int
  from waiting w left join tasker_engine.sessions s on s.ended_at is null
  group by w.unserved, w.paused;
end $$;
