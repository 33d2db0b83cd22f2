-- read_filter: a filter of tasks, an object, as the searches take it. Refuses what it does not know.
--
-- Keys, joined by and: states (any of), namespaces (any of), namespace, name, version, tags (all of), correlation_id, initiator,
-- created_from, created_until, completed_from, completed_until (the ends of the ranges are not included), fields (an object:
-- declared path to value). templates null: all; of a confined caller those that it reaches. lowest and above: the ids that the times of creation allow.
create or replace function tasker_engine.read_filter(
  _filter jsonb, out states tasker_engine.state[], out templates int[], out tags text[], out correlation_id uuid, out initiator text,
  out lowest uuid, out above uuid, out ended_from timestamptz, out ended_until timestamptz, out field_ids int[], out field_values text[])
language plpgsql stable as $$
declare
  unknown text := (
    select k from jsonb_object_keys(_filter) k
    where k not in ('states', 'namespaces', 'namespace', 'name', 'version', 'tags', 'correlation_id', 'initiator', 'created_from',
      'created_until', 'completed_from', 'completed_until', 'fields') limit 1);
  namespaces text[] := case when _filter ? 'namespaces' then array(select jsonb_array_elements_text(_filter -> 'namespaces')) end;
begin
  if unknown is not null then
    raise exception 'a filter of tasks has no key "%"', unknown using errcode = 'TK008';
  end if;
  states := case when _filter ? 'states'
    then array(select s::tasker_engine.state from jsonb_array_elements_text(_filter -> 'states') s) end;
  tags := case when _filter ? 'tags' then array(select jsonb_array_elements_text(_filter -> 'tags')) end;
  correlation_id := _filter ->> 'correlation_id';
  initiator := _filter ->> 'initiator';
  lowest := coalesce(tasker_engine.id_at((_filter ->> 'created_from')::timestamptz), '00000000-0000-0000-0000-000000000000');
  above := least(tasker_engine.id_at((_filter ->> 'created_until')::timestamptz), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  if _filter ?| array['completed_from', 'completed_until'] then
    ended_from := coalesce((_filter ->> 'completed_from')::timestamptz, '-infinity');
    ended_until := coalesce((_filter ->> 'completed_until')::timestamptz, 'infinity');
  end if;
  if namespaces is not null or _filter ?| array['namespace', 'name', 'version'] or tasker_engine.is_confined() then
    templates := array(
      select t.template_id from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
      where (namespaces is null or n.name = any (namespaces)) and (_filter ->> 'namespace' is null or n.name = _filter ->> 'namespace')
        and (_filter ->> 'name' is null or t.name = _filter ->> 'name')
        and (_filter ->> 'version' is null or t.version = _filter ->> 'version')
        and (not tasker_engine.is_confined() or n.name = any (tasker_engine.reached_names())));
  end if;
  if _filter ? 'fields' then
    select * into field_ids, field_values from tasker_engine.read_field_filter(_filter -> 'fields');
  end if;
end $$;

-- read_field_filter: declared paths as their numbers, and the values that are looked for; the rarest first, as far as the
-- first thousand tasks of each tell.
create or replace function tasker_engine.read_field_filter(_fields jsonb, out field_ids int[], out field_values text[])
language plpgsql stable set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on as $$
declare
  wrong record;
begin
  select e.key, f.field_id is null as is_unknown into wrong
  from jsonb_each(_fields) e left join tasker_engine.fields f on f.path = e.key
  where f.field_id is null or tasker_engine.field_value(e.value) is null limit 1;
  if wrong.is_unknown then
    raise exception 'no template declares the search field "%"', wrong.key using errcode = 'TK008',
      hint = coalesce('declared are ' || (select string_agg(f.path, ', ' order by f.path) from tasker_engine.fields f),
        'templates declare them under search_fields');
  elsif wrong.key is not null then
    raise exception 'search field "%" is compared with text, a number or a truth value', wrong.key using errcode = 'TK008';
  end if;
  select array_agg(w.field_id order by w.tasks, w.field_id), array_agg(w.value order by w.tasks, w.field_id)
  into field_ids, field_values
  from (
    select f.field_id, tasker_engine.field_value(e.value) as value, (
      select count(*) from (
        select from tasker_engine.task_fields t where t.field_id = f.field_id and t.value = tasker_engine.field_value(e.value) limit 1000) t
      ) as tasks
    from jsonb_each(_fields) e join tasker_engine.fields f on f.path = e.key
    offset 0) w;  -- offset 0: counted once
end $$;

-- has_fields: whether a task's input has all of these values.
create or replace function tasker_engine.has_fields(_task_id uuid, _field_ids int[], _values text[]) returns boolean
language sql stable as $$
  select not exists (
    select from unnest(_field_ids, _values) as w(field_id, value)
    where not exists (
      select from tasker_engine.task_fields f where f.field_id = w.field_id and f.value = w.value and f.task_id = _task_id))
$$;
