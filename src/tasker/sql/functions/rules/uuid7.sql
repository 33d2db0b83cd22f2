-- uuid7: a time-ordered id made here, for callers that bring none. uuid7_at: the time that an id carries. uuid7_floor: the
-- least id of a millisecond, to compare ids with.
create or replace function tasker_engine.uuid7(_at timestamptz) returns uuid language sql volatile as $$
  select encode(set_bit(set_bit(overlay(
    uuid_send(gen_random_uuid())
    placing substring(int8send((extract(epoch from _at) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

create or replace function tasker_engine.uuid7_at(_id uuid) returns timestamptz language sql immutable strict as $$
  select case when get_byte(uuid_send(_id), 6) >> 4 = 7 then to_timestamp(
    ('x0000' || substr(encode(uuid_send(_id), 'hex'), 1, 12))::bit(64)::bigint / 1000.0) end
$$;

create or replace function tasker_engine.uuid7_floor(_at timestamptz) returns uuid language sql immutable as $$
  select encode(substring(int8send(floor(extract(epoch from _at) * 1000)::bigint) from 3) || '\x00000000000000000000'::bytea,
    'hex')::uuid
$$;
