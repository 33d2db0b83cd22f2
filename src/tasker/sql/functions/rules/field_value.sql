-- field_value: a value of an input as it is searched for: a word, number or truth value as text of at most 256 characters;
-- null for what is nothing, a list or an object. 7, 7.0 and "7" are one.
create or replace function tasker_engine.field_value(_value jsonb) returns text language sql immutable as $$
  select left(case jsonb_typeof(_value)
    when 'number' then trim_scale((_value #>> '{}')::numeric)::text
    when 'string' then _value #>> '{}'
    when 'boolean' then _value #>> '{}'
  end, 256)
$$;
