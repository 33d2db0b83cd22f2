-- list_handlers: the handlers that templates need and that living workers have, by namespace, queue and name, with a page of
-- _limit. _namespaces null: all.
--
-- templates: those whose newest version needs it, as name@version (at most 50); workers: the living sessions that have it (name,
-- host, pid; at most 50) and how many they are; ready: steps that wait for it, up to 10,000.
create or replace function tasker_engine.list_handlers(
  _namespaces text[] default null, _handler text default null, _limit int default 500, _offset int default 0)
returns table (
  namespace text, queue text, handler text, templates text[], template_count int, sessions int, workers json, ready int)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_hashjoin = on set enable_indexscan = on set jit = off
set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
begin
  return query
  with wanted as materialized (
    select c.*, n.name as namespace from tasker_engine.channels c join tasker_engine.namespaces n on n.namespace_id = c.namespace_id
    where (_namespaces is null or n.name = any (_namespaces)) and (_handler is null or c.handler = _handler)
    order by n.name, c.queue, c.handler limit _limit offset _offset),
  newest as materialized (
    select distinct on (t.namespace_id, t.name) t.template_id, t.name, t.version from tasker_engine.templates t
    order by t.namespace_id, t.name, t.version_order desc, t.template_id desc),
  needing as (
    select u.channel_id, array_agg(u.template order by u.template) as templates
    from (select distinct p.channel_id, n.name || '@' || n.version as template
          from newest n join tasker_engine.template_steps p on p.template_id = n.template_id) u
    group by u.channel_id),
  serving as (
    select sc.channel_id, count(*)::int as sessions,
      to_json((array_agg(json_build_object('session_uuid', s.session_uuid, 'name', s.name, 'host', s.host, 'pid', s.pid)
        order by s.session_id))[1:50]) as workers
    from tasker_engine.sessions s join tasker_engine.session_channels sc on sc.session_id = s.session_id
    where s.ended_at is null group by sc.channel_id)
  select w.namespace, w.queue, w.handler, coalesce(d.templates[1:50], '{}'), coalesce(cardinality(d.templates), 0),
    coalesce(v.sessions, 0), coalesce(v.workers, '[]'), r.ready
  from wanted w
  left join needing d on d.channel_id = w.channel_id
  left join serving v on v.channel_id = w.channel_id
  cross join lateral (
    select least(10000, coalesce(sum(q.ready), 0))::int as ready from tasker_engine.lanes l
    cross join lateral tasker_engine.bound_of(l.lane) b
    cross join lateral (
      select count(*) as ready from (
        select from tasker_engine.ready y where y.lane = l.lane and y.seq >= b.bound order by y.seq limit 10000) y) q
    where l.channel_id = w.channel_id) r
  order by w.namespace, w.queue, w.handler;
end $$;

-- list_namespaces: the namespaces with templates, how many templates (names) and versions each has, how many handlers these
-- need, and how many living workers have one of them.
create or replace function tasker_engine.list_namespaces(_namespaces text[] default null)
returns table (namespace text, templates int, versions int, handlers int, sessions int) language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_hashjoin = on set enable_indexscan = on set jit = off as $$
begin
  return query
  select n.name,
    (select count(distinct t.name)::int from tasker_engine.templates t where t.namespace_id = n.namespace_id),
    (select count(distinct (t.name, t.version))::int from tasker_engine.templates t where t.namespace_id = n.namespace_id),
    (select count(distinct c.handler)::int from tasker_engine.channels c where c.namespace_id = n.namespace_id),
    (select count(distinct s.session_id)::int
     from tasker_engine.channels c
     join tasker_engine.session_channels sc on sc.channel_id = c.channel_id
     join tasker_engine.sessions s on s.session_id = sc.session_id and s.ended_at is null
     where c.namespace_id = n.namespace_id)
  from tasker_engine.namespaces n
  where _namespaces is null or n.name = any (_namespaces)
  order by n.name;
end $$;
