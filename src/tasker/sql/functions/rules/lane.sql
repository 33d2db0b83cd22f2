-- lane: the number of a channel's lane. kind 0 new, 1 started, 2 suspect; class 0 to 4.
create or replace function tasker_engine.lane(_channel int, _kind int, _class int) returns int language sql immutable as $$
  select _channel * 16 + _kind * 5 + _class
$$;

-- bound_of: below this number nothing lies ready in the lane, as far as the sweep knows (see raise_bounds).
create or replace function tasker_engine.bound_of(_lane int) returns table (bound bigint) language sql stable as $$
  select coalesce((select b.bound from tasker_engine.bounds b where b.lane = _lane order by b.bound desc limit 1), 0)
$$;
