#!/usr/bin/env bash
# Make .venv, or FOLDER, hold what a lock file pins, and this checkout. Safe to repeat; quick when nothing changed.
# usage: [PYTHON=python3] tools/setup.sh run|serve|dev|bench [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
want=${1:?usage: tools/setup.sh run|serve|dev|bench [FOLDER]}
python=${PYTHON:-python3}
venv=${2:-.venv}
lock=requirements/$want.lock
say() { printf '%s\n' "$*" >&2; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "error[python]: \`$python\` is $("$python" --version 2>&1), Lockgate needs Python 3.11 or newer"
    say "hint: install one, then run make PYTHON=/path/to/python3.11"
    exit 2
}
stamp=$("$python" - "$lock" pyproject.toml requirements/build.in <<'PY'
import hashlib, pathlib, sys
text = b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])
print(hashlib.sha256(sys.version.encode() + str(pathlib.Path.cwd()).encode() + text).hexdigest())
PY
)
finished() { [ -f "$venv/.lockgate-$want" ] && [ "$(cat "$venv/.lockgate-$want")" = "$stamp" ]; }
# The tests keep models in there, which cost more than all else and know no Python.
clear_venv() { find "$venv/" -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} + 2>/dev/null || true; }
if finished; then exit 0; fi

# One setup at a time: a second one waits here and then finds the work done.
exec 9>.setup.lock
flock 9
if finished; then exit 0; fi

# Another Python's packages are of no use, and its stamps would say that all is there.
wanted=$("$python" -c 'import sys; print(sys.version)')
if [ "$("$venv/bin/python" -c 'import pip, sys; print(sys.version)' 2>/dev/null)" != "$wanted" ]; then
    say "setup: making $venv"
    clear_venv
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        # Debian keeps `ensurepip` in a package of its own.
        clear_venv
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "setup: installing python3-venv"
            { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; } >&2
            "$python" -m venv "$venv"
        else
            say "error[venv]: \`$python -m venv\` does not work here"
            say "hint: sudo apt-get install python3-venv"
            exit 2
        fi
    fi
fi
say "setup: installing $lock"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock" >&2
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable . >&2
printf '%s\n' "$stamp" > "$venv/.lockgate-$want"
