-- step_uuid: the public id of a step, derived: the task's first 64 bits (with version 8 for 7), then a hash.
create or replace function tasker_engine.step_uuid(_task_id uuid, _number int) returns uuid language plpgsql immutable strict as $$
declare bytes bytea := overlay(uuid_send(_task_id)
  placing substring(sha256(uuid_send(_task_id) || int4send(_number)) from 1 for 8) from 9 for 8);
begin
  return encode(set_byte(set_byte(bytes, 6, get_byte(bytes, 6) & 15 | 128), 8, get_byte(bytes, 8) & 63 | 128), 'hex')::uuid;
end $$;
