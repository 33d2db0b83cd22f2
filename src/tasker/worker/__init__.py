"""The worker: turns on the database, the executor, slots for async, threads and processes, heartbeat and sweep."""
