-- rerun: a new task that begins at a step of another one: that step and all below it run again; of the others, what is done is
-- copied with its result, and what is not runs as it would have. The other task stays as it is. Only its row is waited for.
--
-- _new_id is a UUID of version 7 made by the caller: a repeat answers the same. _context null: the input of the other task;
-- _patch: top-level keys put over it. An edited input is held against the template's schema by the worker, before the first
-- step. Priority, tags, initiator and correlation are the other task's; keys and identity are not taken over.
create or replace function tasker_engine.rerun(
  _new_id uuid, _task_id uuid, _number int, _actor text, _reason text default null, _context jsonb default null,
  _patch jsonb default null, _now timestamptz default null) returns uuid language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  origin tasker_engine.tasks;
  again int[];
  held tasker_engine.held_task[];
  copied int[];
  gone record;
begin
  perform tasker_engine.require_read_committed();
  perform tasker_engine.require_task(_task_id);
  select * into origin from tasker_engine.tasks t where t.task_id = _task_id for no key update;
  if not found then
    raise exception 'there is no task %', _task_id using errcode = 'TK010';
  end if;
  if exists (select from tasker_engine.forks f where f.task_id = _new_id and f.origin_id = _task_id and f.from_number = _number) then
    return _new_id;
  end if;
  _now := tasker_engine.clock(_now);
  perform tasker_engine.check_rerun(_new_id, origin, _number, _now);
  again := tasker_engine.rerun_steps(origin.template_id, _number);
  perform tasker_engine.fork_task(_new_id, origin, _context, _patch, _now);
  copied := tasker_engine.fork_steps(_new_id, origin, again, _now);
  held := tasker_engine.hold_tasks(array[_new_id], true);
  select * into gone from tasker_engine.decide(held, array_fill(_new_id, array[cardinality(copied)]), copied);
  if _number = any (gone.gone_numbers) then
    raise exception 'step % of task % would not be taken: a decision before it chose otherwise', _number, _task_id using errcode = 'TK012';
  end if;
  perform tasker_engine.begin_fork(_new_id, origin, _now);
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
  values (_new_id, 0, 1, null, 'pending', _now,
    jsonb_strip_nulls(jsonb_build_object('rerun_of', _task_id, 'from', _number, 'actor', _actor, 'reason', _reason)));
  insert into tasker_engine.forks (task_id, origin_id, namespace_id, from_number, is_edited, copied, actor, reason, at)
  values (_new_id, _task_id, origin.namespace_id, _number, _context is not null or _patch is not null, cardinality(copied), _actor,
    _reason, _now);
  insert into tasker_engine.acts (act_id, task_id, number, action, actor, reason, at, answer)
  values (_new_id, _task_id, _number, 'rerun', _actor, _reason, _now, jsonb_build_object('task_id', _new_id));
  return _new_id;
end $$;

-- check_rerun: what cannot be rerun is refused before anything is written.
create or replace function tasker_engine.check_rerun(_new_id uuid, _origin tasker_engine.tasks, _number int, _now timestamptz)
returns void language plpgsql as $$
declare
  wrong text;
begin
  perform tasker_engine.check_submission(array[_new_id], array['{}'::jsonb], null, _now);
  if exists (select from tasker_engine.tasks t where t.task_id = _new_id) then
    raise exception 'the id % is that of another task', _new_id using errcode = 'TK005', detail = _new_id::text;
  end if;
  if _number >= 65536 then
    raise exception 'a member of a batch is not rerun alone: rerun from its batch' using errcode = 'TK012';
  end if;
  if not exists (select from tasker_engine.steps s where s.task_id = _origin.task_id and s.number = _number) then
    perform tasker_engine.refuse_missing_step(_origin, _number);
  end if;
  select p.name into wrong
  from tasker_engine.batches b
  join tasker_engine.steps s on s.task_id = b.task_id and s.number = b.number and s.state in ('complete', 'resolved_manually')
  join tasker_engine.template_steps p on p.template_id = _origin.template_id and p.number = b.number
  where b.task_id = _origin.task_id and b.failed > 0 and b.number <> all (tasker_engine.rerun_steps(_origin.template_id, _number)) limit 1;
  if found then
    raise exception 'batch "%" has members that failed, and cannot be copied: rerun from it, or from above', wrong using errcode = 'TK012';
  end if;
end $$;

-- rerun_steps: a step and all below it, by their numbers in the template.
create or replace function tasker_engine.rerun_steps(_template_id int, _number int) returns int[] language plpgsql stable as $$
declare
  found int[] := array[_number];
  front int[] := array[_number];
begin
  while cardinality(front) > 0 loop
    front := array(
      select distinct c.number from tasker_engine.template_steps p cross join lateral unnest(p.children) as c(number)
      where p.template_id = _template_id and p.number = any (front) and c.number <> all (found));
    found := found || front;
  end loop;
  return found;
end $$;

-- plan_rerun: what a rerun would do with each step, without doing it: again, copied, run (it was not done), not_taken, or
-- undecided (a decision that runs again says whether it is taken).
create or replace function tasker_engine.plan_rerun(_task_id uuid, _number int)
returns table (number int, name text, what text, state text, result_bytes int) language plpgsql as $$
#variable_conflict use_column
declare
  origin tasker_engine.tasks;
  again int[];
begin
  select * into origin from tasker_engine.tasks t where t.task_id = _task_id;
  if not found then
    raise exception 'there is no task %', _task_id using errcode = 'TK010';
  end if;
  perform tasker_engine.check_rerun(tasker_engine.uuid7(clock_timestamp()), origin, _number, clock_timestamp());
  again := tasker_engine.rerun_steps(origin.template_id, _number);
  return query
  select p.number, p.name,
    case when p.number = any (again) then case when s.number is null then 'undecided' else 'again' end
      when s.number is null then 'not_taken' when s.state in ('complete', 'resolved_manually') then 'copied' else 'run' end,
    coalesce(s.state::text, 'not_taken'), s.result_bytes
  from tasker_engine.plan_of(origin.template_id) p
  left join (select * from tasker_engine.steps n where n.task_id = _task_id and n.number < 65536) s on s.number = p.number
  order by p.number;
end $$;
