#!/bin/sh
# All checks, each with its time: the style, every test on the embedded PostgreSQL, some minutes of chaos, the tests of the
# engine again on Debian's PostgreSQL 15, and the demo. Stops at the first that fails. With CI=1 a check that cannot run
# here is a failure.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
older=${TASKER_OLDER_POSTGRES_BIN:-/usr/lib/postgresql/15/bin}

if [ "${CI:-}" = 1 ]; then
    export PYTEST_ADDOPTS="-p ci_skips" PYTHONPATH=tests
fi
started=$(date +%s)

stage() {
    title=$1
    shift
    printf '\n== %s\n' "$title"
    began=$(date +%s)
    "$@" || { printf '== %s: FAILED after %s s\n' "$title" $(($(date +%s) - began)); exit 1; }
    printf '== %s: %s s\n' "$title" $(($(date +%s) - began))
}

# Runs tests. Up to three that fail are run again, once and with nothing beside them: on a machine that was too busy for a
# moment they pass then, and both runs stand in the log; a fault that is always there fails again.
tested() {
    rm -f .pytest_cache/v/cache/lastfailed
    "$@" && return
    failed=$($bin/python -c 'import json; print(*json.load(open(".pytest_cache/v/cache/lastfailed")), sep="\n")') || return 1
    if [ "$(printf '%s\n' "$failed" | wc -l)" -gt 3 ]; then
        return 1
    fi
    printf '\n== AGAIN, by themselves:\n%s\n' "$failed"
    $bin/python -m pytest -q --last-failed --last-failed-no-failures none || return 1
    printf '== PASSED ONLY WHEN RUN AGAIN (find out why):\n%s\n' "$failed"
}

on_older_postgres() {
    if [ ! -x "$older/initdb" ]; then
        echo "NOT RUN: no PostgreSQL 15 in $older (apt-get install postgresql-15, or set TASKER_OLDER_POSTGRES_BIN)"
        [ "${CI:-}" != 1 ]
        return
    fi
    suites=
    for folder in verbs reads worker workflows survival; do
        suites="$suites tests/$folder"
    done
    # New tests of these folders run here unless they say that no version can make a difference to them. Those of
    # tests/embedded start both versions themselves.
    # shellcheck disable=SC2086  (one word a folder)
    export TASKER_POSTGRES_BIN="$older"
    tested $bin/python -m pytest -q -n 2 -m "not slow and not any_postgres" $suites
    unset TASKER_POSTGRES_BIN
}

# Some rows at a small load, others each time (the seed is printed). CHAOS_MINUTES=10 has all of them.
in_chaos() {
    PYTHONPATH=tests $bin/python -m chaos --minutes "${CHAOS_MINUTES:-3}" --json build/chaos.json
}

stage "ruff check" $bin/ruff check .
stage "ruff format" $bin/ruff format --check .
stage "pyright" $bin/pyright
stage "make test, PostgreSQL 18" tested make --no-print-directory test
stage "slow tests, PostgreSQL 18" tested $bin/python -m pytest -q -n 2 -m slow --durations 10
stage "chaos, ${CHAOS_MINUTES:-3} minutes" in_chaos
stage "tests of the engine, PostgreSQL 15" on_older_postgres
stage "demo" $bin/tasker demo
printf '\n== everything passed in %s s\n' $(($(date +%s) - started))
