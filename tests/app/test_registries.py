"""Whose chunk tables stand for SHA-256.

The registry here serves other bytes than a model's digest says, with chunk tables and a second
digest that fit these bytes. Only somebody who is trusted to hash could bring them in.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from blake3 import blake3

from lockgate.app.registries import Registries, registry_settings
from lockgate.app.trust import trust_store
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.domain.artifact import EMPTY_CONFIG, MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.predicates import approval, provenance
from lockgate.domain.statement import Statement, Subject
from lockgate.domain.trust import Role, TrustedKey, TrustRoot
from lockgate.errors import Corrupt
from lockgate.oci import chunks
from lockgate.oci.index import BLAKE3, encode_index
from lockgate.oci.layout import Layout
from lockgate.signing import trust_file
from lockgate.signing.attest import referrer, sign
from lockgate.signing.keys import PrivateKey
from oci import artifacts
from oci.doubles import Counter
from oci.loopback import Site, serve
from oci.registry.samples import BIG, table
from oci.samples import noise

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROOT, BUILDER, STRANGER = (PrivateKey.new() for _ in range(3))
CLAIMED = noise(len(BIG), b"what the digest says")


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "lockgate.toml").touch()
    return load(None, start=tmp_path)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment.read({"HOME": str(tmp_path), "LOCKGATE_DATA_DIR": str(tmp_path / "data")})


def trust(environment: Environment, **builder: object) -> None:
    """Accept a root in which BUILDER has its role, or what `builder` says instead."""
    root = TrustedKey(
        fingerprint=ROOT.fingerprint,
        pem=ROOT.pem.decode(),
        holder="ana",
        roles=frozenset({Role.ROOT}),
    )
    build = TrustedKey(
        fingerprint=BUILDER.fingerprint,
        pem=BUILDER.pem.decode(),
        holder="ci",
        roles=frozenset({Role.BUILDER}),
    )
    made = TrustRoot(
        version=1,
        expires=NOON + timedelta(days=9),
        threshold=1,
        keys=(root, replace(build, **builder)),  # type: ignore[arg-type]
    )
    trust_store(environment).accept([trust_file.sign(trust_file.encode(made, {}), ROOT)], NOON)


def forged(layout: Layout) -> tuple[Descriptor, Descriptor]:
    """Store a release of a model whose digest is that of CLAIMED and whose tables are of BIG."""
    encoded = table(BIG).encode()
    claims = {
        BLAKE3: f"blake3:{blake3(BIG).hexdigest()}",
        chunks.ANNOTATION: str(layout.put(encoded)),
    }
    layer = Descriptor(
        media_type="application/vnd.cncf.model.weight.v1.raw",
        digest=layout.put(CLAIMED),
        size=len(CLAIMED),
        annotations=claims,
    )
    layout.put(b"{}")
    manifest = Manifest(
        artifact_type=Kind.MODEL.artifact_type, config=EMPTY_CONFIG, layers=(layer,)
    ).encode()
    model = Descriptor(media_type=MANIFEST, digest=layout.put(manifest), size=len(manifest))
    assert layout.name("model", model)
    return artifacts.release(layout, "triage", model), model


def attested(layout: Layout, subject: Descriptor, key: PrivateKey, kind: str) -> None:
    statement = Statement(
        subjects=(Subject(name="triage", digest=subject.digest),),
        predicate_type=kind,
        predicate={},
    )
    bundle = sign(statement, key)
    layout.put(bundle)
    layout.attach(referrer(bundle, statement, subject).encode())


def publish(site: Site, layout: Layout, root: Descriptor) -> str:
    """Serve the store as files, with BIG in place of CLAIMED; return the release's address."""
    for path in layout.blobs():
        for folder in ("blobs", "manifests"):
            site.files[f"/v2/m/{folder}/sha256:{path.name}"] = path.read_bytes()
    site.files[f"/v2/m/blobs/{Digest.of(CLAIMED)}"] = BIG
    listed = [at.document for at in layout.referrers(root.digest)]
    site.files[f"/v2/m/manifests/sha256-{root.digest.hex}"] = encode_index(listed)
    return f"oci://{site.url.removeprefix('http://')}/m@{root.digest}"


def pull(loaded: Loaded, environment: Environment, address: str) -> bytes:
    Registries(loaded, environment, Counter(), NOON).pull_release(address)
    layout = Layout(environment.data_dir / "models")
    return layout.blob(Digest.of(CLAIMED)).read_bytes()


def test_the_tables_of_a_release_that_a_trusted_builder_signed_are_believed(
    loaded: Loaded, environment: Environment, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "maker")
    layout.prepare()
    release, _ = forged(layout)
    attested(layout, release, BUILDER, provenance.PREDICATE_TYPE)
    trust(environment)
    with serve() as site:
        assert pull(loaded, environment, publish(site, layout, release)) == BIG


@pytest.mark.parametrize(
    ("key", "kind", "builder"),
    [
        (STRANGER, provenance.PREDICATE_TYPE, {}),
        (BUILDER, approval.PREDICATE_TYPE, {}),
        (BUILDER, provenance.PREDICATE_TYPE, {"roles": frozenset({Role.APPROVER})}),
        (BUILDER, provenance.PREDICATE_TYPE, {"scopes": ("other",)}),
        (BUILDER, provenance.PREDICATE_TYPE, {"expires": NOON}),
        (BUILDER, provenance.PREDICATE_TYPE, {"revoked": True}),
    ],
)
def test_the_tables_of_anybody_else_are_not(
    loaded: Loaded,
    environment: Environment,
    tmp_path: Path,
    key: PrivateKey,
    kind: str,
    builder: dict[str, object],
) -> None:
    layout = Layout(tmp_path / "maker")
    layout.prepare()
    release, _ = forged(layout)
    attested(layout, release, key, kind)
    trust(environment, **builder)
    with serve() as site, pytest.raises(Corrupt, match=f"expected {Digest.of(CLAIMED)}"):
        pull(loaded, environment, publish(site, layout, release))


def test_without_a_trust_root_no_table_is_believed(
    loaded: Loaded, environment: Environment, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "maker")
    layout.prepare()
    release, _ = forged(layout)
    attested(layout, release, BUILDER, provenance.PREDICATE_TYPE)
    with serve() as site, pytest.raises(Corrupt, match="expected"):
        pull(loaded, environment, publish(site, layout, release))


def test_a_signature_about_the_model_says_nothing_of_the_release(
    loaded: Loaded, environment: Environment, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "maker")
    layout.prepare()
    release, model = forged(layout)
    statement = Statement(
        subjects=(Subject(name="m", digest=model.digest),),
        predicate_type=provenance.PREDICATE_TYPE,
        predicate={},
    )
    bundle = sign(statement, BUILDER)
    layout.put(bundle)
    layout.attach(referrer(bundle, statement, release).encode())
    trust(environment)
    with serve() as site, pytest.raises(Corrupt, match="expected"):
        pull(loaded, environment, publish(site, layout, release))


def test_the_environment_says_where_accounts_and_proxies_are(
    loaded: Loaded, tmp_path: Path
) -> None:
    environment = Environment.read(
        {
            "HOME": "/home/ana",
            "XDG_RUNTIME_DIR": "/run/user/1",
            "REGISTRY_AUTH_FILE": "/etc/auth.json",
            "https_proxy": "http://proxy.example:3128",
            "NO_PROXY": "inside.example",
        }
    )
    found = registry_settings(loaded, environment)
    assert found.auth_files == (
        Path("/etc/auth.json"),
        Path("/run/user/1/containers/auth.json"),
        Path("/home/ana/.docker/config.json"),
    )
    assert found.proxies == {"https": "http://proxy.example:3128", "no": "inside.example"}
