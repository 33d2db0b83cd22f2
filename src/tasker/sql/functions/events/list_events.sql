-- list_events: a page of the outbox: what lies behind _after in its order or, with _newest_first, what lies before it, backwards
-- (null: from the end). Of names that match, of namespaces, of tasks (null: all), in these states. What is not settled has no
-- position: it comes where newer events would, and not on further pages.
create or replace function tasker_engine.list_events(
  _after bigint, _most int, _newest_first boolean, _patterns text[], _namespaces text[], _task_ids uuid[], _statuses text[])
returns table ("position" bigint, event_id uuid, name text, mode text, publisher text, status text, outcome text, payload text,
  metadata text, problem text, task_id uuid, number int, attempt int, step_name text, namespace text, template text, version text,
  correlation_id uuid, recorded_at timestamptz, settled_at timestamptz) language plpgsql stable set enable_indexscan = on as $$
#variable_conflict use_column
declare
  templates int[] := array(
    select t.template_id from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    where n.name = any (_namespaces));
  with_open boolean := 'recorded' = any (_statuses);
  seqs bigint[];
begin
  if _newest_first then
    seqs := array(
      select e.seq from tasker_engine.events e
      where (e.position < coalesce(_after, 9223372036854775807) or _after is null and with_open and e.position is null)
        and e.status = any (_statuses) and (_task_ids is null or e.task_id = any (_task_ids))
        and (_namespaces is null or e.template_id = any (templates))
        and (_patterns is null or tasker_engine.event_matches(e.name, _patterns))
      order by e.position desc nulls first, e.seq desc limit _most);
  else
    seqs := array(
      select e.seq from tasker_engine.events e
      where (e.position > coalesce(_after, 0) or with_open and e.position is null)
        and e.status = any (_statuses) and (_task_ids is null or e.task_id = any (_task_ids))
        and (_namespaces is null or e.template_id = any (templates))
        and (_patterns is null or tasker_engine.event_matches(e.name, _patterns))
      order by e.position nulls last, e.seq limit _most);
  end if;
  return query select * from tasker_engine.show_events(seqs);
end $$;

-- show_events: these rows of the outbox, in this order.
create or replace function tasker_engine.show_events(_seqs bigint[])
returns table ("position" bigint, event_id uuid, name text, mode text, publisher text, status text, outcome text, payload text,
  metadata text, problem text, task_id uuid, number int, attempt int, step_name text, namespace text, template text, version text,
  correlation_id uuid, recorded_at timestamptz, settled_at timestamptz) language plpgsql stable set enable_indexscan = on as $$
#variable_conflict use_column
begin
  return query
  select e.position, e.event_id, e.name, e.mode, e.publisher, e.status, e.outcome, e.payload::text, e.metadata::text, e.problem,
    e.task_id, e.number, e.attempt, tasker_engine.step_name(ts.name, s), n.name, t.name, t.version, i.correlation_id, e.recorded_at,
    e.settled_at
  from unnest(_seqs) with ordinality as wanted(seq, place)
  join tasker_engine.events e on e.seq = wanted.seq
  join tasker_engine.templates t on t.template_id = e.template_id
  join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
  join tasker_engine.template_steps ts on ts.template_id = e.template_id and ts.number = tasker_engine.plan_number(e.number)
  left join tasker_engine.steps s on s.task_id = e.task_id and s.number = e.number
  left join tasker_engine.inputs i on i.task_id = e.task_id
  order by wanted.place;
end $$;

-- read_event: one event; no row where there is none.
create or replace function tasker_engine.read_event(_event_id uuid, _namespaces text[] default null)
returns table ("position" bigint, event_id uuid, name text, mode text, publisher text, status text, outcome text, payload text,
  metadata text, problem text, task_id uuid, number int, attempt int, step_name text, namespace text, template text, version text,
  correlation_id uuid, recorded_at timestamptz, settled_at timestamptz) language sql stable as $$
  select f.* from tasker_engine.show_events(array(select e.seq from tasker_engine.events e where e.event_id = _event_id)) f
  where _namespaces is null or f.namespace = any (_namespaces)
$$;

-- events_end: the last position that was given out and can be seen by now; whoever follows from there on misses nothing that
-- comes. It is a number, and no tenant's: so it is told to confined callers too, at the price of one probe.
create or replace function tasker_engine.events_end() returns bigint language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
  select coalesce(max(e.position), 0) from tasker_engine.events e
$$;
