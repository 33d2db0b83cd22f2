#!/bin/sh
# Removes what can be made again: the environment, caches, builds, and the embedded PostgreSQL with its data.
set -eu
cd "$(dirname "$0")/.."
if [ -x .venv/bin/tasker ]; then .venv/bin/tasker db stop || true; fi
rm -rf .venv .tasker .pytest_cache .ruff_cache .hypothesis build dist
find . -name __pycache__ -type d -prune -exec rm -rf {} +
