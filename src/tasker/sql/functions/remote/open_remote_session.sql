-- open_remote_session: begins a session for a worker that a server speaks for. A repeat with the same uuid by the same owner
-- answers the same session; the uuid of somebody else's raises TK020. _namespaces (null: all) is what it may ever work for.
create or replace function tasker_engine.open_remote_session(
  _session_uuid uuid, _owner text, _namespaces text[], _name text, _host text, _pid int, _lease_s double precision,
  _handlers text[], _pools int[], _system_dependencies text[], _queues text[], _now timestamptz default null)
returns int language plpgsql as $$
declare
  session int := tasker_engine.open_session(_session_uuid, _name, _host, _pid, _lease_s, _now);
begin
  -- A session that has no row here was opened by a worker with the database, and is none of the caller's.
  insert into tasker_engine.remote_sessions (session_id, owner, namespaces, handlers, pools, system_dependencies, queues)
  select session, _owner, _namespaces, _handlers, _pools, _system_dependencies, _queues
  from tasker_engine.sessions s where s.session_id = session and s.xmin = pg_current_xact_id()::xid
  on conflict do nothing;
  return tasker_engine.remote_session(_session_uuid, _owner, _namespaces);
end $$;

-- remote_session: the number of a session of this owner, who still reaches all that it works for. Raises TK020.
create or replace function tasker_engine.remote_session(_session_uuid uuid, _owner text, _namespaces text[])
returns int language plpgsql stable as $$
declare found_id int;
begin
  select r.session_id into found_id
  from (select s.session_id from tasker_engine.sessions s where s.session_uuid = _session_uuid offset 0) s
  cross join lateral (select * from tasker_engine.remote_sessions n where n.session_id = s.session_id offset 0) r
  where r.owner = _owner and (_namespaces is null or r.namespaces <@ _namespaces);
  if found_id is null then
    raise exception 'there is no session % of this worker', _session_uuid using errcode = 'TK020', hint = 'open a new one';
  end if;
  return found_id;
end $$;

-- remote_serve: what a session serves by now, templates published meanwhile included: its handlers in its queues, and in its
-- namespaces alone.
create or replace function tasker_engine.remote_serve(_session int)
returns table (channel_id int, handler text, queue text, namespace text) language plpgsql as $$
#variable_conflict use_column
declare
  mine tasker_engine.remote_sessions;
  new int[];
begin
  perform tasker_engine.require_read_committed();
  select * into mine from tasker_engine.remote_sessions r where r.session_id = _session;
  perform tasker_engine.make_breakers(mine.system_dependencies);
  with added as (
    insert into tasker_engine.session_channels (session_id, channel_id)
    select _session, c.channel_id from tasker_engine.channels c
    join tasker_engine.namespaces n on n.namespace_id = c.namespace_id
    where c.handler = any (mine.handlers) and (mine.queues is null or c.queue = any (mine.queues))
      and (mine.namespaces is null or n.name = any (mine.namespaces))
    on conflict do nothing
    returning channel_id)
  select array_agg(a.channel_id) into new from added a;
  if new is not null then
    perform tasker_engine.guard_channels(new, mine.handlers, mine.system_dependencies);
    perform tasker_engine.guard_sessions(new);
  end if;
  return query
  select c.channel_id, c.handler, c.queue, n.name
  from tasker_engine.session_channels sc
  join tasker_engine.channels c on c.channel_id = sc.channel_id
  join tasker_engine.namespaces n on n.namespace_id = c.namespace_id
  where sc.session_id = _session order by c.channel_id;
end $$;

-- remote_queues: the queues of RabbitMQ on which work for a session is announced. None while the database announces its work
-- otherwise, or nobody has sent messages for some seconds: then a worker that relied on them would hear nothing.
create or replace function tasker_engine.remote_queues(_session int) returns setof text language sql stable
set enable_seqscan = on as $$
  select distinct tasker_engine.message_queue('step', c.queue)
  from tasker_engine.transport t
  join tasker_engine.publisher p on p.leased_until > clock_timestamp() - interval '5 seconds'
  join tasker_engine.session_channels sc on sc.session_id = _session
  join tasker_engine.channels c on c.channel_id = sc.channel_id
  where t.name = 'rabbitmq' order by 1
$$;
