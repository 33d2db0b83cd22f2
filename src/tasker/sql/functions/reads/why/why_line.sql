-- why_in_line (kind `queue`): ready steps that a living worker could take, with their place in line; no breaker keeps them.
--
-- data: place (from 1; null: behind the first `looked`), lane, is_alone (a step that lost its worker runs with nothing beside
-- it), queue, handler, workers (how many serve it), idle, held_off (those that an operator has paused or drains), per_s and
-- last_taken_at (of the last five minutes), expected_s.
-- Kind `lost`: a step that lies in no lane; the doctor mends that.
create or replace function tasker_engine.why_in_line(_task tasker_engine.tasks, _now timestamptz, _looked_max int default 10000)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable
set enable_indexscan = on set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
  barred int[] := tasker_engine.barred_channels();
begin
  return query
  with waiting as materialized (
    select s.number, s.is_suspect, p.channel_id
    from tasker_engine.steps s
    join tasker_engine.plan_of(_task.template_id) p on p.number = tasker_engine.plan_number(s.number)
    where s.task_id = _task.task_id and s.state = 'enqueued' and p.channel_id <> all (barred)),
  served as materialized (
    select w.channel_id, c.handler, c.queue, count(s.session_id)::int as workers, count(*) filter (where s.is_idle)::int as idle,
      count(*) filter (where s.wanted is not null)::int as held_off
    from (select distinct channel_id from waiting) w
    join tasker_engine.channels c on c.channel_id = w.channel_id
    join tasker_engine.session_channels sc on sc.channel_id = w.channel_id
    join tasker_engine.sessions s on s.session_id = sc.session_id and s.ended_at is null
    group by w.channel_id, c.handler, c.queue),
  line as materialized (
    select l.lane, l.channel_id, b.bound, greatest(100, _looked_max / (count(*) over ())::int) as looked
    from served v join tasker_engine.lanes l on l.channel_id = v.channel_id and l.class = _task.class
    cross join lateral tasker_engine.bound_of(l.lane) b),
  lying as (
    select l.lane, l.channel_id, r.task_id, r.number, row_number() over (partition by l.lane order by r.seq) as place
    from line l
    cross join lateral (
      select n.seq, n.task_id, n.number from tasker_engine.ready n
      where n.lane = l.lane and n.seq >= l.bound order by n.seq limit l.looked) r),
  depth as materialized (
    select l.channel_id, l.looked, coalesce(bool_or(y.place >= l.looked), false) as is_more
    from line l left join lying y on y.lane = l.lane group by l.channel_id, l.looked),
  placed as (
    select w.number, w.is_suspect, v.*, y.lane, y.place, d.looked, d.is_more,
      r.per_s, r.last_taken_at, y.place / nullif(r.per_s, 0) as expected_s
    from waiting w
    join served v on v.channel_id = w.channel_id
    join depth d on d.channel_id = w.channel_id
    left join (select distinct on (y.number) y.* from lying y where y.task_id = _task.task_id order by y.number, y.place) y on y.number = w.number
    left join tasker_engine.lane_rates(array(
      select distinct y.lane from lying y where y.task_id = _task.task_id), _now) r on r.lane = y.lane)
  select p.number, case when p.place is null and not p.is_more and _task.paused_at is null then 'lost' else 'queue' end,
    case
      when p.place is null and not p.is_more and _task.paused_at is null then 'is ready, and lies in no line: `tasker db doctor --repair` mends it'
      else format('is %s in line for handler "%s" in queue "%s" (workers that serve it: %s, idle: %s%s)%s%s',
        coalesce('number ' || p.place, 'behind the first ' || p.looked), p.handler, p.queue, p.workers, p.idle,
        case when p.held_off > 0 then ', paused or draining: ' || p.held_off else '' end,
        case when p.per_s > 0 then format('; lately %s a second were taken', round(p.per_s::numeric, 2)) else '' end,
        case when p.is_suspect then '; it lost its worker, and runs with nothing beside it' else '' end)
    end,
    jsonb_build_object('place', p.place, 'looked', p.looked, 'lane', p.lane, 'is_alone', p.is_suspect, 'queue', p.queue,
      'handler', p.handler, 'workers', p.workers, 'idle', p.idle, 'held_off', p.held_off, 'per_s', p.per_s, 'last_taken_at', p.last_taken_at,
      'expected_s', p.expected_s)
  from placed p;
end $$;

-- lane_rates: how many steps a second were lately taken from these lanes, and when the last one was. Nothing is counted
-- while work is done: what was taken last belongs to tasks that came shortly before the one that is at the head now, and
-- their steps say when they were granted. At most ten lanes, 200 tasks and 2,000 steps a lane are looked at, five minutes back.
create or replace function tasker_engine.lane_rates(_lanes int[], _now timestamptz)
returns table (lane int, per_s double precision, last_taken_at timestamptz) language plpgsql stable
set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
#variable_conflict use_column
begin
  return query
  select l.lane, taken.count / greatest(1, date_part('epoch', _now - taken.first_at)), taken.last_at
  from unnest(_lanes[1:10]) as asked(lane)
  cross join lateral (select * from tasker_engine.lanes n where n.lane = asked.lane offset 0) l
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select r.task_id from tasker_engine.ready r where r.lane = l.lane and r.seq >= b.bound order by r.seq limit 1) head
  cross join lateral (
    select count(*) as count, min(g.granted_at) as first_at, max(g.granted_at) as last_at
    from (
      with recent as materialized (
        select t.task_id, t.template_id from tasker_engine.tasks t where t.task_id <= head.task_id order by t.task_id desc limit 200),
      plan as materialized (
        select p.template_id, case when p.batch is null then p.number else p.number << 16 end as first,
          case when p.batch is null then p.number else p.number << 16 | 65535 end as last
        from (select distinct r.template_id from recent r) r join tasker_engine.template_steps p on p.template_id = r.template_id
        where p.channel_id = l.channel_id order by p.template_id, p.number limit 1000)
      select s.granted_at
      from (select r.task_id, p.first, p.last from recent r join plan p on p.template_id = r.template_id limit 2000) near
      cross join lateral (
        select n.granted_at from tasker_engine.steps n
        where n.task_id = near.task_id and n.number between near.first and near.last and n.granted_at > _now - interval '5 minutes' offset 0) s
      limit 500) g) taken;
end $$;
