#!/usr/bin/env bash
# Renew the lock files. No index address goes in: a machine installs from the index it trusts.
# usage: tools/lock.sh [UV]      (UV: the uv program, default `uv`)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=${1:-uv}
lock() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --exclude-newer "$(date -u -d '7 days ago' +%F)" "$@"
}
lock pyproject.toml requirements/build.in -o requirements/run.lock
lock --extra serve pyproject.toml requirements/build.in -o requirements/serve.lock
lock --all-extras pyproject.toml requirements/build.in requirements/dev.in -o requirements/dev.lock
lock --all-extras pyproject.toml requirements/build.in requirements/dev.in requirements/bench.in \
    -o requirements/bench.lock
