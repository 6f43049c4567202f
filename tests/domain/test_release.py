from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest, canonical
from lockgate.domain.release import Pin, Release
from lockgate.errors import Corrupt, NotFound

PINS = tuple(
    Pin(
        role=role,
        name=f"{role}-model",
        backend="onnx",
        digest=Digest.of(role.encode()),
        kind=Kind.MODEL,
        size=700,
    )
    for role in ("text", "embedder", "classifier")
)
RELEASE = Release(
    task="review",
    version="1",
    code={"distribution": "lockgate", "version": "0.1.0", "digest": "sha256:0"},
    pins=PINS,
    decoding={"temperature": 0, "seed": 7},
)


@given(pins=st.permutations(PINS), code=st.permutations(list(RELEASE.code.items())))
def test_the_digest_does_not_depend_on_any_order(
    pins: list[Pin], code: list[tuple[str, str]]
) -> None:
    shuffled = replace(
        RELEASE, pins=tuple(pins), code=dict(code), decoding={"seed": 7, "temperature": 0}
    )

    assert shuffled.digest == RELEASE.digest


def test_the_digest_is_the_same_on_every_machine() -> None:
    # A change here means that every release in every audit log gets another identity.
    assert str(RELEASE.digest) == (
        "sha256:9518f62713163d1ca691bf86bb1df4ecdcdd830da4ca0e3c907e2f0271d0556f"
    )


@pytest.mark.parametrize(
    "changed",
    [
        replace(RELEASE, task="triage"),
        replace(RELEASE, version="2"),
        replace(RELEASE, code={**RELEASE.code, "version": "0.2.0"}),
        replace(RELEASE, pins=PINS[1:]),
        replace(RELEASE, pins=(replace(PINS[0], digest=Digest.of(b"x")), *PINS[1:])),
        replace(RELEASE, pins=(replace(PINS[0], backend="llama_cpp"), *PINS[1:])),
        replace(RELEASE, pins=(replace(PINS[0], kind=None, size=0), *PINS[1:])),
        replace(RELEASE, decoding={"temperature": 0, "seed": 8}),
        replace(RELEASE, parents=(Digest.of(b"before"),)),
        replace(RELEASE, runtime={"python": ">=3.12"}),
    ],
)
def test_everything_that_can_change_an_answer_is_in_the_digest(changed: Release) -> None:
    assert changed.digest != RELEASE.digest


def test_a_pin_is_found_by_its_role() -> None:
    assert RELEASE.pin("embedder") is PINS[1]


def test_a_role_without_a_pin_says_where_to_look() -> None:
    with pytest.raises(NotFound, match="`reranker`") as raised:
        RELEASE.pin("reranker")

    assert raised.value.hint == "see what it pins with `lockgate task show review`"


def test_a_release_comes_back_from_its_config() -> None:
    release = replace(RELEASE, parents=(Digest.of(b"b"), Digest.of(b"a")), runtime={"diskMiB": 9})
    release = replace(release, pins=(*PINS, Pin(role="judge", name="m", digest=Digest.of(b"m"))))

    found = Release.parse(release.config)

    assert found.digest == release.digest
    assert found.pin("judge").kind is None
    assert found.pin("text") == PINS[0]


def test_the_manifest_names_the_config_and_nothing_of_this_machine() -> None:
    manifest = Manifest.parse(RELEASE.manifest)

    assert manifest.config.digest == Digest.of(RELEASE.config)
    assert manifest.artifact_type == "application/vnd.lockgate.release.v1+json"
    assert manifest.annotations == {
        "io.lockgate.kind": "release",
        "org.opencontainers.image.title": "review",
        "org.opencontainers.image.version": "1",
    }


DOCUMENT = RELEASE.document


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        RELEASE.config + b" ",
        canonical({**DOCUMENT, "apiVersion": "lockgate/v2"}),
        canonical({**DOCUMENT, "more": 1}),
        canonical({**DOCUMENT, "pins": {}}),
        canonical({**DOCUMENT, "pins": [{"role": "text"}]}),
        canonical({**DOCUMENT, "pins": [{**PINS[0].document, "digest": "sha256:0"}]}),
        canonical({**DOCUMENT, "pins": [{**PINS[0].document, "kind": "pickle"}]}),
        canonical({**DOCUMENT, "pins": [{**PINS[0].document, "size": -1}]}),
        canonical({**DOCUMENT, "pins": [PINS[0].document] * 65}),
        canonical({**DOCUMENT, "code": {"version": 1}}),
        canonical({**DOCUMENT, "parents": ["x"]}),
        canonical({**DOCUMENT, "task": None}),
    ],
)
def test_what_is_not_a_releases_document_is_refused(config: bytes) -> None:
    with pytest.raises(Corrupt):
        Release.parse(config)
