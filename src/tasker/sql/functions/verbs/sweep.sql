-- sweep: the net under everything. One process at a time sweeps (a lock of this transaction; the others answer at once);
-- one call touches at most some hundred steps, and answers `more` when there is more to do.
--
-- A database that was away is not a dead worker: if nobody has swept for half a lease, or the server has started since,
-- every session first gets a fresh lease, and nothing is taken.
create or replace function tasker_engine.sweep(_now timestamptz default null)
returns jsonb language plpgsql as $$
declare
  last_swept timestamptz;
  half_lease interval;
  released int := 0;
  promoted int;
  overdue int;
  unserved int;
  judged int;
  driven int;
  breakers int;
  resumed int;
  pruned int;
  gathered int;
begin
  perform tasker_engine.require_read_committed();
  if not pg_try_advisory_xact_lock(tasker_engine.session_lock_class(), 0) then
    return '{"is_leader": false, "more": false}';
  end if;
  _now := tasker_engine.clock(_now);
  select w.swept_at into last_swept from tasker_engine.sweeps w;
  select make_interval(secs => coalesce(min(s.lease_s), 15) / 2) into half_lease from tasker_engine.sessions s where s.ended_at is null;
  update tasker_engine.sweeps set swept_at = _now;
  if _now - last_swept > half_lease or pg_postmaster_start_time() > last_swept then
    update tasker_engine.sessions set beat_at = _now where session_id = any (array(
      select s.session_id from tasker_engine.sessions s where s.ended_at is null for no key update skip locked));
    return '{"is_leader": true, "more": true, "fresh_leases": true}';
  end if;
  perform tasker_engine.end_session(s.session_id, 'silent for longer than its lease', true, tasker_engine.given_time(_now))
  from (
    select e.session_id from tasker_engine.sessions e
    where e.ended_at is null and e.beat_at + make_interval(secs => e.lease_s) < _now
    for no key update skip locked) s;
  select coalesce(sum(tasker_engine.release_session(g.session_id, 100, _now)), 0) into released
  from (select distinct g.session_id from tasker_engine.grants g join tasker_engine.sessions s using (session_id)
        where s.ended_at is not null limit 4) g;
  promoted := tasker_engine.promote_due('-infinity', 500, _now);
  resumed := tasker_engine.sweep_pauses(_now);
  unserved := tasker_engine.fail_unserved(100, _now);
  perform tasker_engine.raise_bounds(_now);
  overdue := tasker_engine.look_around(100, _now);
  judged := tasker_engine.fill_dlq(200, _now);
  perform tasker_engine.find_stale(50, _now);
  driven := tasker_engine.drive_jobs(20, _now);
  breakers := tasker_engine.sweep_breakers(_now);
  pruned := tasker_engine.prune_events(200, _now);
  gathered := tasker_engine.keep_figures(5000, _now);
  return jsonb_build_object('is_leader', true,
    'more', released >= 100 or promoted >= 500 or overdue >= 100 or unserved >= 100 or judged >= 200 or driven >= 20 or pruned >= 200
      or gathered >= 5000,
    'released', released, 'promoted', promoted, 'overdue', overdue, 'unserved', unserved, 'judged', judged, 'driven', driven,
    'breakers', breakers, 'resumed', resumed, 'pruned', pruned, 'gathered', gathered);
end $$;
