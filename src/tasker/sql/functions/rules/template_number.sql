-- template_number: the number, in its template, of the step that a task's step is made of. Numbers up to 65535 are the
-- template's own; a larger one carries it in its upper bits.
create or replace function tasker_engine.template_number(_number int) returns int language sql immutable as $$
  select case when _number < 65536 then _number else _number >> 16 end
$$;
