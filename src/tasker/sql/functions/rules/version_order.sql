-- version_order: an array that sorts as versions do: 1.10.0 after 1.9.0, 1.0.0 after 1.0.0-rc1.
create or replace function tasker_engine.version_order(_version text) returns int[] language sql immutable as $$
  select array(select coalesce(nullif(left(part, 9), ''), '0')::int
    from regexp_split_to_table(regexp_replace(split_part(_version, '-', 1), '[^0-9.]', '', 'g'), '\.') as part)
    || case when position('-' in _version) > 0 then -1 else 0 end
$$;
