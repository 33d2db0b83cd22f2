-- lane: the number of a channel's lane. kind 0 new, 1 started, 2 suspect; class 0 to 4.
create or replace function tasker_engine.lane(_channel int, _kind int, _class int) returns int language sql immutable as $$
  select _channel * 16 + _kind * 5 + _class
$$;
