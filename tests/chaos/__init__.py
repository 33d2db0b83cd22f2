"""Chaos: random work, while everything that can break is broken, and a judge who has seen none of it happen.

A *row* is one kind of fault at one load. It runs on a *scene*: a PostgreSQL of its own, worker processes (straight to
the database and through a server), server processes, a RabbitMQ where it is wanted. A *client* creates tasks over
HTTP and keeps a ledger of what it was told; handlers keep another one of what they did, in a file: both are outside of
the database. The *nemesis* strikes by a seed. A *watch* fails when work stands still, and says why. In the end the
*checker* holds tables and ledgers against the invariants I1 to I17, and the *report* has the counts.

`python -m chaos` in this folder's parent (`make chaos`) runs rows; docs/chaos.md is the page.
"""
