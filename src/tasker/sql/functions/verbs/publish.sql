-- publish: stores a version of a template with its steps, channels and lanes. A version with the same digest is left alone;
-- other content is refused, or with _force becomes a new revision. Running tasks keep the definition they began with.
--
-- _steps is an array of objects: number, name, queue, handler, parents, children (numbers), is_retryable, max_attempts,
-- backoff, backoff_base_s, backoff_max_s, jitter, timeout_s; where they differ from a standard step's also type, deciders (how
-- many parents are decisions), joins (the decisions of which every way leads through a convergence) and batch (of a step that
-- has members: parallelism, failure_strategy, source: the number of the step that says what they work on, and for a list of
-- items the path to it), system_dependency, and events: what the step publishes (name, condition, mode, publisher, schema).
create or replace function tasker_engine.publish(
  _namespace text, _name text, _version text, _digest text, _definition jsonb, _identity_strategy text, _steps jsonb,
  _force boolean default false, out template_id int, out is_new boolean) language plpgsql as $$
#variable_conflict use_column
declare
  latest tasker_engine.templates;
  home int;
  channel_of int[];
  parents_of int[];
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(hashtextextended('tasker template ' || _namespace || '/' || _name, 0));
  insert into tasker_engine.namespaces (name) values (_namespace) on conflict do nothing;
  select namespace_id into home from tasker_engine.namespaces where name = _namespace;
  select * into latest from tasker_engine.templates t
  where t.namespace_id = home and t.name = _name and t.version = _version order by t.revision desc limit 1;
  if latest.digest = _digest then
    template_id := latest.template_id;
    is_new := false;
    return;
  end if;
  if latest.template_id is not null and not _force then
    raise exception 'template %/%@% is published already with other content', _namespace, _name, _version using errcode = 'TK013',
      detail = latest.definition::text, hint = 'give it a new version';
  end if;
  insert into tasker_engine.templates (namespace_id, name, version, revision, version_order, digest, definition, identity_strategy, step_count,
    has_schema)
  values (home, _name, _version, coalesce(latest.revision, 0) + 1, tasker_engine.version_order(_version), _digest, _definition,
    _identity_strategy, jsonb_array_length(_steps), coalesce((_definition ->> 'enforce_schemas')::boolean, true)
      and coalesce(jsonb_typeof(_definition -> 'input_schema'), 'null') <> 'null')
  returning templates.template_id into template_id;
  perform tasker_engine.open_channels(home, _steps);
  update tasker_engine.templates t set lifecycle = _definition -> 'lifecycle'
  where t.template_id = publish.template_id and jsonb_typeof(_definition -> 'lifecycle') = 'object';
  perform tasker_engine.declare_fields(template_id, coalesce(_definition -> 'search_fields', '[]'));
  -- Numbers run from 1 without a gap, so that a child's place in these arrays is its number.
  select array_agg(c.channel_id order by s.number), array_agg(cardinality(s.parents) order by s.number)
  into channel_of, parents_of
  from jsonb_to_recordset(_steps) as s(number int, queue text, handler text, parents int[], system_dependency text)
  join tasker_engine.channels c on c.namespace_id = home and c.queue = s.queue and c.handler = s.handler
    and c.system_dependency = coalesce(s.system_dependency, '');
  insert into tasker_engine.template_steps (template_id, number, name, channel_id, parents, children, child_channels,
    child_parents, is_retryable, max_attempts, backoff, backoff_base_s, backoff_max_s, jitter, timeout_s, type, deciders, joins, batch)
  select template_id, s.number, s.name, channel_of[s.number], s.parents, s.children,
    array(select channel_of[c.number] from unnest(s.children) with ordinality as c(number, place) order by c.place),
    array(select parents_of[c.number] from unnest(s.children) with ordinality as c(number, place) order by c.place),
    s.is_retryable, s.max_attempts, s.backoff, s.backoff_base_s, s.backoff_max_s, s.jitter, s.timeout_s,
    coalesce(s.type, 'standard'), coalesce(s.deciders, 0), coalesce(s.joins, '{}'), s.batch
  from jsonb_to_recordset(_steps) as s(number int, name text, parents int[], children int[],
    is_retryable boolean, max_attempts int, backoff text, backoff_base_s float8, backoff_max_s float8, jitter float8, timeout_s float8,
    type text, deciders int, joins int[], batch jsonb);
  perform tasker_engine.declare_events(template_id, _steps);
  is_new := true;
end $$;

-- open_channels: makes the channels, breakers and lanes that these steps need. Lanes for new tasks are only for first steps.
create or replace function tasker_engine.open_channels(_namespace_id int, _steps jsonb) returns void language plpgsql as $$
begin
  perform tasker_engine.make_breakers(array(
    select s.system_dependency from jsonb_to_recordset(_steps) as s(system_dependency text)));
  insert into tasker_engine.channels (namespace_id, queue, handler, system_dependency, breaker_id)
  select _namespace_id, s.queue, s.handler, s.system, b.breaker_id
  from (select distinct s.queue, s.handler, coalesce(s.system_dependency, '') as system
        from jsonb_to_recordset(_steps) as s(queue text, handler text, system_dependency text)) s
  left join tasker_engine.breakers b on b.name = s.system
  order by s.queue, s.handler, s.system
  on conflict do nothing;
  insert into tasker_engine.lanes (lane, channel_id, kind, class)
  select distinct tasker_engine.lane(c.channel_id, k.kind, p.class), c.channel_id, k.kind, p.class
  from (select distinct s.queue, s.handler, s.parents = '{}' as is_first, coalesce(s.system_dependency, '') as system
        from jsonb_to_recordset(_steps) as s(queue text, handler text, parents int[], system_dependency text)) s
  join tasker_engine.channels c on c.namespace_id = _namespace_id and c.queue = s.queue and c.handler = s.handler
    and c.system_dependency = s.system
  cross join generate_series(0, 2) as k(kind)
  cross join generate_series(0, 4) as p(class)
  where k.kind > 0 or s.is_first
  on conflict do nothing;
end $$;

-- make_breakers: makes those that are not there yet, in the order of their names. Null and '' name none.
create or replace function tasker_engine.make_breakers(_names text[]) returns void language plpgsql as $$
begin
  insert into tasker_engine.breakers (name)
  select distinct n.name from unnest(_names) as n(name)
  where n.name <> '' and not exists (select from tasker_engine.breakers b where b.name = n.name)
  order by n.name
  on conflict do nothing;
end $$;
