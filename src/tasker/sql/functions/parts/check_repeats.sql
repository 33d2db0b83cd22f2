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
