-- check_sizes: a context larger than the setting allows is refused.
create or replace function tasker_engine.check_sizes(_contexts jsonb[]) returns void language plpgsql as $$
declare
  largest int := (select max(octet_length(c::text)) from unnest(_contexts) c);
  most int := coalesce(nullif(current_setting('tasker.input_bytes_max', true), '')::int, 1048576);
begin
  if largest > most then
    raise exception 'a context of % bytes is more than the % that a task may have', largest, most using errcode = 'TK007',
      hint = 'store it elsewhere and submit a reference, or raise tasker.input_bytes_max';
  end if;
end $$;

-- check_repeats: a task that exists already must be the same one: same template, same context.
create or replace function tasker_engine.check_repeats(
  _template_id int, _task_ids uuid[], _holders uuid[], _contexts jsonb[]) returns void language plpgsql as $$
declare other uuid;
begin
  select w.holder into other
  from unnest(_task_ids, _holders, _contexts) as w(task_id, holder, context)
  join tasker_engine.tasks t on t.task_id = w.holder
  join tasker_engine.inputs i on i.task_id = w.holder
  join tasker_engine.templates held on held.template_id = t.template_id
  join tasker_engine.templates asked on asked.template_id = _template_id
  where i.context <> w.context or held.namespace_id <> asked.namespace_id or held.name <> asked.name
  limit 1;
  if found then
    raise exception 'the same identity was used before with other content, by task %', other using errcode = 'TK005',
      detail = other::text, hint = 'use another key for another content';
  end if;
end $$;
