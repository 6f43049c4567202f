import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.domain.statement import Statement, Subject
from lockgate.signing.attest import sign
from lockgate.signing.keys import PrivateKey
from programs import require

KEYS = [PrivateKey.new() for _ in range(5)]
COUNT = 20
STATEMENT = Statement(
    subjects=(Subject(name="review", digest=Digest.of(b"release")),),
    predicate_type="https://slsa.dev/provenance/v1",
    predicate={"materials": [{"name": f"file-{n}", "digest": "0" * 64} for n in range(30)]},
)
# Reads the folder that it is given; says how many it verified and what that took.
SCRIPT = """
import sys, time
from pathlib import Path

def guard(event, _):
    assert not event.startswith("socket."), event

sys.addaudithook(guard)
from lockgate.signing.attest import verified
from lockgate.signing.keys import fingerprint

folder = Path(sys.argv[1])
keys = {fingerprint(pem): pem.decode() for pem in (p.read_bytes() for p in folder.glob("*.pem"))}
bundles = [path.read_bytes() for path in folder.glob("*.json")]
before = time.process_time()
found = {verified(data, keys).digest for data in bundles}
print(len(found), int((time.process_time() - before) * 1e6))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty bundles of five keys, and the public halves."""
    for at, key in enumerate(KEYS):
        (tmp_path / f"{at}.pem").write_bytes(key.pem)
    for at in range(COUNT):
        said = replace(STATEMENT, predicate={**STATEMENT.predicate, "number": at})
        (tmp_path / f"{at}.json").write_bytes(sign(said, KEYS[at % len(KEYS)]))
    return tmp_path


def test_verifying_twenty_bundles_takes_milliseconds(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder], check=True, capture_output=True, text=True
    )

    count, micros = (int(word) for word in done.stdout.split())
    assert count == COUNT
    # 5 ms on an idle core; the bound is what the whole release may take.
    assert micros < 100_000


def test_verifying_makes_no_system_call_for_the_network(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls.log"

    watched = [require("strace"), "-f", "-e", "trace=network,exit_group", "-o", str(log)]
    done = subprocess.run(
        [*watched, sys.executable, "-c", SCRIPT, str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.split()[0] == str(COUNT)
    calls = log.read_text()
    assert "exit_group(0)" in calls  # it was watched to the end
    assert "connect(" not in calls
    assert "socket(" not in calls
