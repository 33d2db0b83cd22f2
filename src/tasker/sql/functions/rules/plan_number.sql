-- plan_number: the number under which a template has this step: a member of a batch has that of its batch.
create or replace function tasker_engine.plan_number(_number int) returns int language sql immutable as $$
  select case when _number < 65536 then _number else _number >> 16 end
$$;
