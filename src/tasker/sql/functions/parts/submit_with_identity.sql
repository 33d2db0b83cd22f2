-- identity_keys: what makes each task the same as another: its idempotency key, else what the template's strategy says.
create or replace function tasker_engine.identity_keys(_strategy text, _contexts jsonb[], _options jsonb[])
returns text[] language plpgsql as $$
declare keys text[];
begin
  keys := array(
    select tasker_engine.identity_key(_strategy, w.context, w.option ->> 'idempotency_key')
    from unnest(_contexts, _options) with ordinality as w(context, option, place) order by w.place);
  if _strategy = 'caller_provided' and array_position(keys, null) is not null then
    raise exception 'tasks of this template need an idempotency_key' using errcode = 'TK009';
  end if;
  return keys;
end $$;

-- identity_key: the same for one task.
create or replace function tasker_engine.identity_key(_strategy text, _context jsonb, _idempotency_key text) returns text
language sql stable as $$
  select case
    when _idempotency_key is not null then 'key:' || _idempotency_key
    when _strategy = 'strict' then 'strict:' || encode(sha256(convert_to(_context::text, 'utf8')), 'hex')
  end
$$;

-- submit_with_identity: a task whose key is held already is not made; the answer names the holder.
create or replace function tasker_engine.submit_with_identity(
  _template tasker_engine.templates, _task_ids uuid[], _contexts jsonb[], _options jsonb[], _keys text[], _now timestamptz,
  _taker tasker_engine.taker, out ids uuid[], out are_duplicates boolean[], out taken_tasks uuid[], out taken_numbers int[])
language plpgsql as $$
#variable_conflict use_column
declare
  holders uuid[];
  made uuid[];
begin
  with held as materialized (
    select * from tasker_engine.hold_identities(_template.namespace_id, _template.name, _keys, _task_ids,
      array(select _now + make_interval(secs => (o ->> 'key_ttl_s')::float8)
            from unnest(_options) with ordinality as w(o, place) order by w.place), _now))
  select array_agg(coalesce((select h.holder from held h where h.key = w.key), w.task_id) order by w.place)
  into holders
  from unnest(_keys, _task_ids) with ordinality as w(key, task_id, place);
  select c.* into made, taken_tasks, taken_numbers
  from (
    select array_agg(w.task_id) as ids, array_agg(w.context) as contexts, array_agg(w.option) as options
    from unnest(_task_ids, holders, _contexts, _options) as w(task_id, holder, context, option) where w.task_id = w.holder) n
  cross join lateral tasker_engine.create_tasks(_template.template_id, n.ids, n.contexts, n.options, _now, _taker) c;
  perform tasker_engine.check_repeats(_template.template_id, _task_ids, holders, _contexts);
  ids := holders;
  are_duplicates := array(
    select w.holder <> w.task_id or w.task_id <> all (made)
    from unnest(_task_ids, holders) with ordinality as w(task_id, holder, place) order by w.place);
end $$;
