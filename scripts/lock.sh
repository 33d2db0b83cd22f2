#!/bin/sh
# Writes requirements/*.txt: every version and the hashes of its files, for each platform and Python at once, and no
# address to fetch them from. Usage: scripts/lock.sh UV [--upgrade]
set -eu
cd "$(dirname "$0")/.."
uv=$1
shift

lock() {
    target=requirements/$1.txt
    shift
    echo "  $target"
    "$uv" pip compile pyproject.toml --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
        --no-annotate --python-version 3.11 --custom-compile-command "make lock" --output-file "$target" "$@"
}

lock dev --extra embedded --extra server --extra grpc --extra django --extra pgmq --extra rabbitmq --group build --group test --group dev "$@"
lock test --extra embedded --extra server --extra grpc --extra django --extra pgmq --extra rabbitmq --group build --group test --constraints requirements/dev.txt
lock run --extra embedded --extra server --group build --constraints requirements/dev.txt
lock deploy --extra server --extra grpc --extra pgmq --extra rabbitmq --group build --constraints requirements/dev.txt
