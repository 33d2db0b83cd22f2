-- check_submission: refuses what no task may be made of, before anything is written.
create or replace function tasker_engine.check_submission(
  _task_ids uuid[], _contexts jsonb[], _options jsonb[], _now timestamptz) returns void language plpgsql as $$
declare
  wrong text;
  largest int;
  are_objects boolean;
  earliest uuid := tasker_engine.uuid7_floor(_now - interval '1 day');
  latest uuid := tasker_engine.uuid7_floor(_now + interval '1 day');
begin
  if cardinality(_task_ids) <> cardinality(_contexts) or cardinality(_options) <> cardinality(_contexts) then
    raise exception 'submit needs as many ids and options as contexts' using errcode = 'TK008';
  end if;
  select coalesce(id::text, 'null') into wrong from unnest(_task_ids) id
  where (id between earliest and latest and get_byte(uuid_send(id), 6) >> 4 = 7) is not true limit 1;
  if found then
    raise exception 'task id % is not a UUID of version 7 made within a day of now', wrong using errcode = 'TK004';
  end if;
  select max(octet_length(c::text)), coalesce(bool_and(coalesce(jsonb_typeof(c) = 'object', false)), true) into largest, are_objects
  from unnest(_contexts) c;
  if not are_objects then
    raise exception 'the context of a task is a JSON object' using errcode = 'TK015';
  end if;
  perform tasker_engine.check_size(largest);
  if _options is not null then
    select k into wrong from unnest(_options) o, jsonb_object_keys(o) k
    where k not in ('idempotency_key', 'key_ttl_s', 'priority', 'start_at', 'delay_s', 'initiator', 'source_system', 'reason',
                    'tags', 'correlation_id', 'parent_correlation_id', 'is_checked') limit 1;
    if found then
      raise exception 'submit knows no option "%"', wrong using errcode = 'TK008';
    end if;
  end if;
end $$;

-- check_size: a context larger than the setting allows is refused.
create or replace function tasker_engine.check_size(_bytes int) returns void language plpgsql as $$
declare
  most int := coalesce(nullif(current_setting('tasker.input_bytes_max', true), '')::int, 1048576);
begin
  if _bytes > most then
    raise exception 'a context of % bytes is more than the % that a task may have', _bytes, most using errcode = 'TK007',
      hint = 'store it elsewhere and submit a reference, or raise tasker.input_bytes_max';
  end if;
end $$;
