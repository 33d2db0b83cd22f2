"""What `tasker demo` runs: a shop's checkout that fails, recovers and completes, on a real PostgreSQL.

One checkout step by step, a crowd of them with and without Tasker, and a crowd whose worker is killed. Every promise on
the way is a named check on figures, so that the exit code says whether it was kept.
"""

from __future__ import annotations


def run(json: bool = False, *, checkouts: int = 200, killed_checkouts: int = 80, seed: int = 1) -> int:
    """Plays the demo and prints it, with `json` as one document and nothing else. The exit code: 0, or 1 if a check
    failed.

    It uses TASKER_DATABASE_URL or the embedded PostgreSQL, in a namespace of its own. `checkouts` is the size of the
    crowd, `killed_checkouts` that of the crowd whose worker dies; neither may be under 30, or there would be no
    permanent fault among them. Raises SettingsError for that, and other TaskerErrors where it cannot begin.
    """
    from tasker.demo.story import play

    return play(json=json, checkouts=checkouts, killed_checkouts=killed_checkouts, seed=seed)
