-- take_events: hands out events that are to be made, for a time, to a process that has these publishers: those that were
-- recorded first, and of a task only its first, so that the events of a task are published in their order. One that is_lost was
-- taken too often by processes that were never heard of again: it is to be refused.
create or replace function tasker_engine.take_events(
  _owner uuid, _publishers text[], _most int, _lease_s double precision, _now timestamptz default null)
returns table (seq bigint, event_id uuid, name text, mode text, publisher text, outcome text, content text, schema text, description text,
  task_id uuid, number int, attempt int, step_name text, namespace text, template text, version text, correlation_id uuid,
  recorded_at timestamptz, is_lost boolean) language plpgsql set enable_indexscan = on as $$
#variable_conflict use_column
declare
  tries_max int := tasker_engine.setting('event_tries_max');
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  return query
  with picked as materialized (
    select e.seq from tasker_engine.events e
    where e.position is null and e.due_at <= _now and (e.leased_until is null or e.leased_until <= _now)
      and (e.publisher is null or e.publisher = any (_publishers))
      and not exists (
        select from tasker_engine.events p where p.task_id = e.task_id and p.seq < e.seq and p.position is null)
    order by e.seq limit _most for no key update skip locked),
  taken as (
    update tasker_engine.events e set owner = _owner, leased_until = _now + make_interval(secs => _lease_s), tries = e.tries + 1
    from picked p where e.seq = p.seq
    returning e.*)
  select e.seq, e.event_id, e.name, e.mode, e.publisher, e.outcome, e.content::text, d.schema::text,
    t.definition #>> array['steps', (tasker_engine.plan_number(e.number) - 1)::text, 'publishes_events', e.place::text, 'description'],
    e.task_id, e.number, e.attempt, tasker_engine.step_name(ts.name, s), n.name, t.name, t.version, i.correlation_id, e.recorded_at,
    e.tries > tries_max
  from taken e
  join tasker_engine.templates t on t.template_id = e.template_id
  join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
  cross join lateral (
    select * from tasker_engine.template_steps p
    where p.template_id = e.template_id and p.number = tasker_engine.plan_number(e.number) offset 0) ts
  left join tasker_engine.template_events d on d.template_id = e.template_id and d.number = ts.number and d.place = e.place
  left join tasker_engine.steps s on s.task_id = e.task_id and s.number = e.number
  left join tasker_engine.inputs i on i.task_id = e.task_id
  order by e.seq;
end $$;
