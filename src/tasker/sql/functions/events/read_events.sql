-- read_events: the outbox in the order of its positions: after one of them, of names that match, of tasks and namespaces (null:
-- all), in these states. What is not settled yet comes last, if it is asked for, without a position.
create or replace function tasker_engine.read_events(
  _after bigint, _most int, _patterns text[] default null, _namespaces text[] default null, _task_ids uuid[] default null,
  _statuses text[] default '{published}', _positions bigint[] default null)
returns table ("position" bigint, event_id uuid, name text, mode text, publisher text, status text, outcome text, payload text,
  metadata text, problem text, task_id uuid, number int, attempt int, step_name text, namespace text, template text, version text,
  correlation_id uuid, recorded_at timestamptz, settled_at timestamptz) language plpgsql stable set enable_indexscan = on as $$
#variable_conflict use_column
declare
  templates int[] := array(
    select t.template_id from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    where n.name = any (_namespaces));
begin
  return query
  select * from tasker_engine.show_events(array(
    select e.seq from tasker_engine.events e
    where (e.position > _after or e.position is null and 'recorded' = any (_statuses))
      and e.status = any (_statuses)
      and (_positions is null or e.position = any (_positions))
      and (_task_ids is null or e.task_id = any (_task_ids))
      and (_patterns is null or tasker_engine.event_matches(e.name, _patterns))
      and (_namespaces is null or e.template_id = any (templates))
    order by e.position nulls last, e.seq limit _most));
end $$;

-- read_subscribers: who is handed events, how much waits for each of them, and what each has given up on.
create or replace function tasker_engine.read_subscribers()
returns table (name text, patterns text[], since timestamptz, waiting bigint, failed bigint, error text) language sql stable as $$
  select s.name, s.patterns, s.since, d.waiting, d.failed, d.error
  from tasker_engine.event_subscribers s
  cross join lateral (
    select count(*) filter (where d.failed_at is null) as waiting, count(*) filter (where d.failed_at is not null) as failed,
      (array_agg(d.error order by d.position desc) filter (where d.error is not null))[1] as error
    from tasker_engine.event_deliveries d where d.subscriber = s.name) d
  order by s.name
$$;
