-- read_history: what happened to tasks, in order. number 0 (name null) is the task itself; a step's moves are counted by seq.
-- The moves of one step are in order whatever the clock did; those of several are in the order of their times.
-- worker: who held the attempt. detail: the error record, or what an operator did (act_id, action, actor, reason).
create or replace function tasker_engine.read_history(_task_ids uuid[], _number int default null)
returns table (
  task_id uuid, number int, name text, seq int, from_state text, to_state text, attempt int, at timestamptz,
  worker text, detail jsonb)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on
set enable_indexonlyscan = on set enable_hashjoin = on set enable_mergejoin = on as $$
#variable_conflict use_column
begin
  return query
  select h.task_id, h.number, p.name || coalesce('_' || m.batch_id, ''), h.seq, h.from_state::text, h.to_state::text, h.attempt, h.at,
    w.name || '@' || w.host || ':' || w.pid, h.detail
  from unnest(_task_ids) as asked(task_id)
  join tasker_engine.tasks t on t.task_id = asked.task_id
  join tasker_engine.transitions h on h.task_id = t.task_id
  left join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = tasker_engine.plan_number(h.number)
  left join tasker_engine.batch_items m on m.task_id = h.task_id and m.number = h.number and h.number >= 65536
  left join tasker_engine.sessions w on w.session_id = h.session_id
  where _number is null or h.number = _number
  order by h.task_id, case when _number is null then h.at end, _number is null and h.number = 0 and h.from_state is not null,
    _number is null and h.from_state = 'in_progress' desc, h.seq, h.number;
end $$;
