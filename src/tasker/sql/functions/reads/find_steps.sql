-- find_steps: the steps that public ids name. An id begins as its task's does; among those few tasks the hash decides.
create or replace function tasker_engine.find_steps(_step_uuids uuid[])
returns table (step_uuid uuid, task_id uuid, number int) language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on
set enable_indexonlyscan = on set enable_hashjoin = on set enable_mergejoin = on as $$
#variable_conflict use_column
begin
  return query
  select asked.step_uuid, s.task_id, s.number
  from unnest(_step_uuids) as asked(step_uuid)
  cross join lateral (select uuid_send(asked.step_uuid) as bytes) b
  cross join lateral (select left(encode(set_byte(b.bytes, 6, get_byte(b.bytes, 6) & 15 | 112), 'hex'), 16) as half) h
  join tasker_engine.tasks t on t.task_id between (h.half || '0000000000000000')::uuid and (h.half || 'ffffffffffffffff')::uuid
  join tasker_engine.steps s on s.task_id = t.task_id
  where tasker_engine.step_uuid(s.task_id, s.number) = asked.step_uuid;
end $$;
