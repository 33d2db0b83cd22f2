-- judge_batches: what steps that make or expand batches have said, held against the template. What is wrong becomes a permanent
-- failure that says so. The cursors of a batch leave the result of the step that made them: they go to their members alone.
--
-- kinds: `batched` is the result of a batchable step, with batch_processing_outcome; `expanded` asks for the members of a
-- batch. cursors has those of each `batched` outcome.
create or replace function tasker_engine.judge_batches(
  _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], inout kinds text[], inout payloads text[], out cursors jsonb[])
language plpgsql as $$
declare
  one record;
  outcome jsonb;
  wrong text;
begin
  cursors := array_fill(null::jsonb, array[cardinality(kinds)]);
  for one in
    select o.place, o.kind, o.payload::jsonb as payload, o.task_id, ts.template_id, ts.name, ts.type, ts.children, ts.batch
    from unnest(_task_ids, _numbers, kinds, payloads) with ordinality as o(task_id, number, kind, payload, place)
    join unnest(_held) h on h.task_id = o.task_id
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = h.template_id and p.number = o.number offset 0) ts
    where o.kind in ('batched', 'expanded')
  loop
    if one.kind = 'expanded' then
      wrong := case when one.batch is null then format('step "%s" asks for members, and is no batch', one.name)
        when one.batch ? 'path' then tasker_engine.wrong_items(one.task_id, one.template_id, one.name, one.batch) end;
    else
      outcome := one.payload -> 'batch_processing_outcome';
      wrong := tasker_engine.wrong_outcome(one.name, one.type, tasker_engine.worker_of(one.template_id, one.children), outcome);
      cursors[one.place] := coalesce(outcome -> 'cursor_configs', '[]');
      payloads[one.place] := tasker_engine.without_cursors(one.payload)::text;
    end if;
    if wrong is not null then
      kinds[one.place] := 'failed';
      payloads[one.place] := json_build_object('error_type', 'invalid_batch', 'error_code', 'invalid_batch', 'retryable', false,
        'message', wrong)::text;
    end if;
  end loop;
end $$;

-- worker_of: the name of the batch_worker among these steps; null where there is none.
create or replace function tasker_engine.worker_of(_template_id int, _children int[]) returns text language sql stable as $$
  select p.name from tasker_engine.template_steps p
  where p.template_id = _template_id and p.number = any (_children) and p.type = 'batch_worker'
$$;

-- without_cursors: the result of a batchable step as it is kept: how many workers, not what each of them works on.
create or replace function tasker_engine.without_cursors(_result jsonb) returns jsonb language sql immutable as $$
  select case when jsonb_typeof(_result #> '{batch_processing_outcome,cursor_configs}') = 'array'
    then jsonb_set(_result #- '{batch_processing_outcome,cursor_configs}', '{batch_processing_outcome,worker_count}',
      to_jsonb(jsonb_array_length(_result #> '{batch_processing_outcome,cursor_configs}')))
    else _result end
$$;

-- wrong_outcome: what is wrong with the outcome of a batchable step, in words; null where nothing is.
create or replace function tasker_engine.wrong_outcome(_name text, _type text, _worker text, _outcome jsonb) returns text
language plpgsql stable as $$
declare
  configs jsonb := _outcome -> 'cursor_configs';
  most int := tasker_engine.setting('batch_workers_max');
  bad text;
begin
  if _type <> 'batchable' then
    return format('step "%s" returned batches, but its type is %s', _name, _type);
  elsif _outcome ->> 'type' = 'no_batches' then
    return null;
  elsif (_outcome ->> 'type' = 'create_batches') is not true then
    return format('the result of batchable step "%s" holds no batch_processing_outcome of type create_batches or no_batches', _name);
  elsif coalesce(_outcome ->> 'worker_template_name', _worker) <> _worker then
    return format('batchable step "%s" makes workers of "%s"; the batch_worker that depends on it is "%s"', _name,
      _outcome ->> 'worker_template_name', _worker);
  elsif coalesce(jsonb_typeof(configs), 'null') <> 'array' then
    return format('batchable step "%s" gives no list cursor_configs', _name);
  elsif jsonb_array_length(configs) = 0 then
    return format('batchable step "%s" gives an empty list cursor_configs; with nothing to do its outcome is no_batches', _name);
  elsif jsonb_array_length(configs) > most then
    return format('batchable step "%s" makes %s workers, and at most %s are allowed (tasker.batch_workers_max): make the ranges '
      'larger', _name, jsonb_array_length(configs), most);
  end if;
  select c.value::text into bad from jsonb_array_elements(configs) c
  where (jsonb_typeof(c.value -> 'batch_id') = 'string' and length(c.value ->> 'batch_id') between 1 and 64) is not true limit 1;
  if bad is not null then
    return format('batchable step "%s": each cursor config needs a batch_id of 1 to 64 characters, and %s has none', _name, left(bad, 200));
  end if;
  select c.value ->> 'batch_id' into bad from jsonb_array_elements(configs) c group by 1 having count(*) > 1 limit 1;
  return case when bad is not null then format('batchable step "%s" gives two cursor configs the batch_id "%s"', _name, bad) end;
end $$;

-- wrong_items: what is wrong with the list that a step runs for each item of, in words; null where nothing is.
create or replace function tasker_engine.wrong_items(_task_id uuid, _template_id int, _name text, _batch jsonb) returns text
language plpgsql stable as $$
declare
  found jsonb := tasker_engine.items_of(_task_id, _batch);
  most int := tasker_engine.setting('batch_workers_max');
  place text := (select p.name from tasker_engine.template_steps p
    where p.template_id = _template_id and p.number = (_batch ->> 'source')::int)
    || coalesce('.' || nullif(array_to_string(array(select jsonb_array_elements_text(_batch -> 'path')), '.'), ''), '');
begin
  if coalesce(jsonb_typeof(found), 'null') <> 'array' then
    return format('step "%s" runs for each item of the list %s, and there is %s', _name, place,
      case when found is null then 'nothing' else 'a value of type ' || jsonb_typeof(found) end);
  elsif jsonb_array_length(found) > most then
    return format('step "%s" runs for each item of %s, which has %s; at most %s are allowed (tasker.batch_workers_max)', _name, place,
      jsonb_array_length(found), most);
  end if;
  return null;
end $$;

-- items_of: what lies at the path of a batch over items in the result of its source.
create or replace function tasker_engine.items_of(_task_id uuid, _batch jsonb) returns jsonb language sql stable as $$
  select s.result #> array(select jsonb_array_elements_text(_batch -> 'path'))
  from tasker_engine.steps s where s.task_id = _task_id and s.number = (_batch ->> 'source')::int
$$;

-- store_cursors: keeps what each worker of a batch will work on, until the batch is expanded.
create or replace function tasker_engine.store_cursors(
  _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], _cursors jsonb[]) returns void language sql as $$
  insert into tasker_engine.batch_items (task_id, number, batch_id, cursor, items)
  select o.task_id, w.number << 16 | c.place::int, c.config ->> 'batch_id', c.config, tasker_engine.items_in(c.config)
  from unnest(_task_ids, _numbers, _cursors) as o(task_id, number, cursors)
  join unnest(_held) h on h.task_id = o.task_id
  cross join lateral (
    select * from tasker_engine.template_steps p where p.template_id = h.template_id and p.number = o.number offset 0) ts
  join tasker_engine.template_steps w on w.template_id = ts.template_id and w.number = any (ts.children) and w.type = 'batch_worker'
  cross join lateral jsonb_array_elements(o.cursors) with ordinality as c(config, place)
  where o.cursors is not null
$$;

-- items_in: how many rows a cursor config covers: its batch_size, else the way from start to end; 0 where neither is a number.
create or replace function tasker_engine.items_in(_config jsonb) returns int language sql immutable as $$
  select greatest(0, least(2147483647, floor(case
    when jsonb_typeof(_config -> 'batch_size') = 'number' then (_config ->> 'batch_size')::numeric
    when jsonb_typeof(_config -> 'start_cursor') = 'number' and jsonb_typeof(_config -> 'end_cursor') = 'number'
      then (_config ->> 'end_cursor')::numeric - (_config ->> 'start_cursor')::numeric
    else 0 end)))::int
$$;
