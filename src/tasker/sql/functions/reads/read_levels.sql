-- read_levels: the level of each step of these tasks: 0 for steps without parents, else one more than the highest parent. Members
-- of a batch are on the level of their batch.
create or replace function tasker_engine.read_levels(_task_ids uuid[])
returns table (task_id uuid, number int, name text, level int)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on
set enable_indexonlyscan = on set enable_hashjoin = on set enable_mergejoin = on as $$
#variable_conflict use_column
begin
  return query
  with leveled as materialized (
    select t.task_id, l.number::int, l.name, l.level
    from unnest(_task_ids) as asked(task_id)
    join tasker_engine.tasks t on t.task_id = asked.task_id
    cross join lateral (
      select array_agg(p.name order by p.number) as names from tasker_engine.template_steps p where p.template_id = t.template_id) n
    cross join lateral unnest(tasker_engine.template_levels(t.template_id), n.names) with ordinality as l(level, name, number))
  select * from leveled
  union all
  select l.task_id, i.number, l.name || '_' || i.batch_id, l.level
  from leveled l join tasker_engine.batches b on b.task_id = l.task_id and b.number = l.number
  join tasker_engine.batch_items i on i.task_id = b.task_id and i.number between b.number << 16 and b.number << 16 | 65535
  order by task_id, level, number;
end $$;

-- template_levels: the level of each step, in the order of their numbers, which run from 1. Every edge is looked at once.
create or replace function tasker_engine.template_levels(_template_id int) returns int[] language plpgsql stable as $$
declare
  waiting int[];    -- by step: parents that have no level yet
  child int[];      -- all children, those of step 1 first
  child_ends int[]; -- by step: where its children end in `child`
  levels int[];
  line int[];       -- steps in an order in which parents come first
  line_end int;
  step int;
  below int;
begin
  select array_agg(cardinality(p.parents) order by p.number), array_agg(p.children_end order by p.number),
    array_fill(0, array[count(*)::int]), array_agg(p.number order by p.number) filter (where p.parents = '{}')
  into waiting, child_ends, levels, line
  from (select ts.*, sum(cardinality(ts.children)) over (order by ts.number)::int as children_end
        from tasker_engine.template_steps ts where ts.template_id = _template_id) p;
  select array_agg(e.child order by e.parent) into child
  from (select ts.number as parent, unnest(ts.children) as child from tasker_engine.template_steps ts where ts.template_id = _template_id) e;
  line_end := cardinality(line);
  line := line || array_fill(0, array[cardinality(levels) - line_end]);
  for place in 1 .. cardinality(levels) loop
    step := line[place];
    for edge in coalesce(child_ends[step - 1], 0) + 1 .. child_ends[step] loop
      below := child[edge];
      levels[below] := greatest(levels[below], levels[step] + 1);
      waiting[below] := waiting[below] - 1;
      if waiting[below] = 0 then
        line_end := line_end + 1;
        line[line_end] := below;
      end if;
    end loop;
  end loop;
  return levels;
end $$;
