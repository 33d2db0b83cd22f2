#!/bin/sh
# Removes what can be made again: the environment, caches, builds, and the embedded PostgreSQL with its data.
set -eu
cd "$(dirname "$0")/.."
if [ -x .venv/bin/tasker ]; then .venv/bin/tasker db stop || true; fi
rm -rf .venv .tasker .pytest_cache .ruff_cache .hypothesis build dist
for folder in sdk/typescript examples/polyglot; do
    rm -rf "$folder/node_modules" "$folder/dist" "$folder/build"
done
find . -name __pycache__ -type d -prune -exec rm -rf {} +
