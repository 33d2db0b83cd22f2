-- A session that takes new steps for itself: what it serves, the slot pool that each channel needs, the free slots of each pool.
create type tasker_engine.taker as (session_id int, channels int[], pools int[], free int[]);
