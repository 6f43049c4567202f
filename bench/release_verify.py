"""Verifies a release with 5 pins and 20 attestations, beside securesystemslib on the same bytes.

usage: .venv/bin/python bench/release_verify.py
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey
from securesystemslib.signer._signature import Signature

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lockgate.app.attesting import gather
from lockgate.oci.attestations import AttestationStore
from lockgate.oci.facts import Inspector
from lockgate.oci.layout import Layout
from lockgate.signing import bundle
from trusted_release import Made, make

ROUNDS = 30


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the least CPU time of some rounds, in milliseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1000


def ours(root: Path, made: Made) -> None:
    layout = Layout(root)
    inspector = Inspector(layout, trust_unchanged=False)
    _, release = inspector.release(made.digest)
    subjects = [made.digest]
    for pin in release.pins:
        assert inspector.pin(pin).intact
        subjects.append(pin.digest)
    said, refused = gather(layout, subjects, made.trust)
    assert (len(said), refused) == (20, ())


def theirs(bundles: list[bytes], made: Made) -> None:
    key = SSlibKey(
        made.key.fingerprint, "ecdsa", "ecdsa-sha2-nistp256", {"public": made.key.pem.decode()}
    )
    for data in bundles:
        found = bundle.parse(data)
        signature = Signature(key.keyid, found.signature.hex())
        Envelope(found.payload, found.payload_type, {key.keyid: signature}).verify([key], 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "models"
        layout = Layout(root)
        made = make(layout, pins=5, attestations=20)
        store = AttestationStore(layout)
        subjects = [made.digest, *(pin.digest for pin in made.release.pins)]
        bundles = [b for s in subjects for b in store.about(s) if isinstance(b, bytes)]
        mine = cpu_ms(lambda: ours(root, made))
        peer = cpu_ms(lambda: theirs(bundles, made))
    print(f"release verify, 5 pins, 20 attestations: {mine:.1f} ms of CPU (wanted: at most 100)")
    print(f"securesystemslib, the 20 signatures only: {peer:.1f} ms; ratio {mine / peer:.2f}")


if __name__ == "__main__":
    main()
