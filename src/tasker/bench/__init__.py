"""What `tasker bench` runs: this Tasker on a real PostgreSQL, beside a bare engine on the same server, in turn.

Figures alone say more about a machine than about an engine. So every measurement is taken twice or more, turn and turn
about with an engine that does the least that such an engine can (`bare.sql`), and the ratio of the two is what counts.
"""
