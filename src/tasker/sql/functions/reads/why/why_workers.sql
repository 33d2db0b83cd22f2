-- why_unserved (kind `no_worker`): ready steps whose handler no living session has in their queue.
--
-- data: namespace, queue, handler; template, version, and served_versions: other versions of the template of which workers
-- have every handler; workers: up to ten living sessions of that namespace with what they serve; fails_at: when the sweep
-- gives the step up (null while no worker runs at all: then work waits).
create or replace function tasker_engine.why_unserved(_task tasker_engine.tasks, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
declare
  about jsonb;
begin
  if not exists (select from tasker_engine.unserved_steps(_task.task_id, _task.template_id)) then
    return;
  end if;
  about := tasker_engine.what_is_served(_task);
  return query
  with moved as (
    select h.number, max(h.at) as at from tasker_engine.transitions h where h.task_id = _task.task_id group by h.number),
  judged as (
    select u.*, case when _task.paused_at is null and about ->> 'since' is not null
        and not tasker_engine.is_queue_paused(_task.namespace_id, u.queue, u.handler)
      then greatest(m.at, (about ->> 'since')::timestamptz) + make_interval(secs => tasker_engine.setting('handler_missing_s'))
      end as fails_at
    from tasker_engine.unserved_steps(_task.task_id, _task.template_id) u join moved m on m.number = u.number)
  select j.number, 'no_worker',
    format('no living worker has the handler "%s" in queue "%s"', j.handler, j.queue) || (about ->> 'said')
      || case when j.fails_at is null then ''
        when j.fails_at > _now then '; it fails with handler_not_found in ' || tasker_engine.said_s(date_part('epoch', j.fails_at - _now))
        else '; it fails with handler_not_found at the next sweep' end,
    (about - 'said' - 'since') || jsonb_build_object('queue', j.queue, 'handler', j.handler, 'fails_at', j.fails_at)
  from judged j;
end $$;

-- unserved_steps: ready steps of a task that no living session could take.
create or replace function tasker_engine.unserved_steps(_task_id uuid, _template_id int)
returns table (number int, handler text, queue text) language plpgsql stable as $$
begin
  return query
  with ready_step as materialized (
    select s.number, p.channel_id
    from tasker_engine.steps s
    join tasker_engine.plan_of(_template_id) p on p.number = tasker_engine.plan_number(s.number)
    where s.task_id = _task_id and s.state = 'enqueued'),
  unserved as (
    select c.channel_id, c.handler, c.queue
    from (select distinct r.channel_id from ready_step r) r join tasker_engine.channels c on c.channel_id = r.channel_id
    where not exists (select from tasker_engine.session_channels sc join tasker_engine.sessions w on w.session_id = sc.session_id
                      where sc.channel_id = c.channel_id and w.ended_at is null))
  select r.number, u.handler, u.queue from ready_step r join unserved u on u.channel_id = r.channel_id;
end $$;

-- what_is_served: what the living workers of the task's namespace have, in data and in words. since: when the first of all
-- living workers began.
create or replace function tasker_engine.what_is_served(_task tasker_engine.tasks) returns jsonb language plpgsql stable as $$
declare
  mine record;
  running record;
  workers jsonb;
  versions text[];
begin
  select n.name as namespace, t.namespace_id, t.name, t.version into mine
  from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id where t.template_id = _task.template_id;
  select count(*) as count, min(s.started_at) as since into running from tasker_engine.sessions s where s.ended_at is null;
  select jsonb_agg(w.worker) into workers from (
    select jsonb_build_object('session_uuid', s.session_uuid, 'name', s.name, 'host', s.host, 'pid', s.pid,
      'handlers', (array_agg(distinct c.handler))[1:50], 'queues', (array_agg(distinct c.queue))[1:50]) as worker
    from tasker_engine.sessions s
    join tasker_engine.session_channels sc on sc.session_id = s.session_id
    join tasker_engine.channels c on c.channel_id = sc.channel_id
    where s.ended_at is null and c.namespace_id = mine.namespace_id
    group by s.session_id order by s.session_id desc limit 10) w;
  versions := array(
    select v.version from tasker_engine.templates v
    where v.namespace_id = mine.namespace_id and v.name = mine.name and v.version <> mine.version
      and not exists (
        select from tasker_engine.template_steps p where p.template_id = v.template_id and not exists (
          select from tasker_engine.session_channels sc join tasker_engine.sessions s on s.session_id = sc.session_id
          where sc.channel_id = p.channel_id and s.ended_at is null))
    order by v.version_order desc, v.template_id desc limit 5);
  return jsonb_build_object('namespace', mine.namespace, 'template', mine.name, 'version', mine.version,
    'served_versions', to_jsonb(versions), 'workers', coalesce(workers, '[]'), 'since', running.since,
    'said', case
      when running.count = 0 then '; no worker runs at all'
      when workers is null then format('; the %s workers that run have no handler of namespace "%s"', running.count, mine.namespace)
      else format('; in this namespace %s has %s%s', workers -> 0 ->> 'name',
        (select string_agg(h.name, ', ') from (select h.name from jsonb_array_elements_text(workers -> 0 -> 'handlers') h(name) limit 5) h),
        case when jsonb_array_length(workers) > 1 then format(', and %s more workers run', jsonb_array_length(workers) - 1) else '' end)
    end || case when cardinality(versions) > 0
      then format('; workers have all that version %s needs, not version %s', array_to_string(versions, ', '), mine.version) else '' end);
end $$;
