-- retry_wait_s: seconds until the next try after `_tries` executions. Chance (0 to 1) only ever lengthens it.
create or replace function tasker_engine.retry_wait_s(
  _backoff text, _base_s double precision, _max_s double precision, _jitter double precision, _tries int,
  _chance double precision) returns double precision language sql immutable as $$
  select (1 + _jitter * _chance) * least(_max_s, case _backoff
    when 'none' then 0
    when 'linear' then _base_s * _tries
    when 'exponential' then _base_s * 2 ^ least(_tries - 1, 60)
    when 'fibonacci' then _base_s * round(((1 + sqrt(5)) / 2) ^ least(_tries, 60) / sqrt(5))
  end)
$$;
