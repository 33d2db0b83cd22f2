-- hold_identities: writes the identities of new tasks and names, for each key, the task that holds it now.
-- Waits at most two seconds for another open transaction that writes the same key. Keys are taken in order.
create or replace function tasker_engine.hold_identities(
  _namespace_id int, _template text, _keys text[], _task_ids uuid[], _expires_at timestamptz[], _now timestamptz)
returns table (key text, holder uuid) language plpgsql as $$
#variable_conflict use_column
declare previous text := current_setting('lock_timeout');
begin
  perform set_config('lock_timeout', '2s', true);
  delete from tasker_engine.identities i
  where i.namespace_id = _namespace_id and i.template = _template and i.key = any (_keys)
    and (i.expires_at <= _now or not exists (select from tasker_engine.inputs t where t.task_id = i.task_id));
  insert into tasker_engine.identities (namespace_id, template, key, task_id, expires_at)
  select _namespace_id, _template, w.key, w.task_id, w.expires_at
  from unnest(_keys, _task_ids, _expires_at) as w(key, task_id, expires_at) where w.key is not null order by w.key
  on conflict do nothing;
  perform set_config('lock_timeout', previous, true);
  return query select i.key, i.task_id from tasker_engine.identities i
  where i.namespace_id = _namespace_id and i.template = _template and i.key = any (_keys);
exception
  when lock_not_available then
    raise exception 'another transaction is creating a task with the same key' using errcode = 'TK006',
      hint = 'try again when it has ended; submit last in a transaction';
  when serialization_failure then
    raise exception 'the key was taken after this transaction began, which it cannot see under its isolation level'
      using errcode = 'TK006', hint = 'submit with keys under READ COMMITTED, or try the whole transaction again';
end $$;
