import os
import random
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.app.attesting import gather
from lockgate.cli.main import execute
from lockgate.errors import Corrupt
from lockgate.oci.facts import Inspector
from lockgate.oci.layout import Layout
from lockgate.signing import trust_file
from lockgate.signing.trust_store import TrustStore
from programs import require
from trusted_release import Made, make


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data" / "models")


def flaws(layout: Layout, made: Made) -> list[str]:
    """Return everything that `lockgate release verify` would call bad."""
    try:
        inspector = Inspector(layout, trust_unchanged=False)
        facts, release = inspector.release(made.digest)
        found = list(facts.flaws)
        for pin in release.pins:
            found += inspector.pin(pin).flaws
        subjects = (made.digest, *(pin.digest for pin in release.pins))
        said, refused = gather(layout, subjects, made.trust)
    except Corrupt as error:
        return [error.message]
    missing = [] if len(said) == 20 else [f"{len(said)} attestation(s)"]
    return [*found, *refused, *missing]


def test_any_changed_byte_of_any_file_is_found(layout: Layout) -> None:
    made = make(layout, pins=5, attestations=20, size=50)
    assert flaws(layout, made) == []
    paths = layout.blobs()
    chosen = random.Random(7)  # noqa: S311
    for _ in range(1000):
        path = chosen.choice(paths)
        data = path.read_bytes()
        at, bit = chosen.randrange(len(data)), 1 << chosen.randrange(8)
        path.chmod(0o600)
        path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        assert flaws(layout, made), f"byte {at} of {path.name}"
        path.write_bytes(data)
    assert flaws(layout, made) == []


def test_a_swapped_attestation_is_about_something_else(layout: Layout) -> None:
    one = make(layout, pins=1, attestations=2)
    two = make(layout, pins=2, attestations=3)

    said, refused = gather(layout, [one.digest], two.trust)

    assert said == ()
    assert len(refused) == 1
    assert one.key.fingerprint[:12] in refused[0]


def test_verifying_connects_to_nothing(layout: Layout, tmp_path: Path) -> None:
    strace = require("strace")
    made = make(layout, pins=5, attestations=20)
    signed = trust_file.sign(trust_file.encode(made.trust, {}), made.key)
    TrustStore(tmp_path / "data" / "trust").accept([signed], datetime.now(UTC))
    traced = tmp_path / "trace"

    trace = [strace, "-f", "-e", "trace=connect,sendto,sendmsg", "-o", str(traced)]
    verify = [sys.executable, "-m", "lockgate", "release", "verify", str(made.digest)]
    done = subprocess.run(
        [*trace, *verify],
        env={
            **os.environ,
            "LOCKGATE_DATA_DIR": str(tmp_path / "data"),
            "LOCKGATE_STATE_DIR": str(tmp_path / "state"),
        },
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "20 attestation(s), 0 flaw(s)" in done.stdout
    calls = [line for line in traced.read_text().splitlines() if re.search(r"\w+\(", line)]
    # asyncio wakes its own loop through a socket pair, which leads nowhere else.
    assert [line for line in calls if "connect(" in line] == []


def test_a_release_without_a_trust_root_is_whole_but_unsigned(
    layout: Layout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = make(layout, pins=1, attestations=0)
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    assert execute(["release", "verify", made.digest.hex[:12]]) == 0
    assert "0 attestation(s), 0 flaw(s)" in capsys.readouterr().out
