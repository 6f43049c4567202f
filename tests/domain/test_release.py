from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin, Release
from lockgate.errors import NotFound

PINS = tuple(
    Pin(role=role, name=f"{role}-model", backend="onnx", digest=Digest.of(role.encode()))
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
        "sha256:df5d14b5ae5f755c82a2cbc3929d8e0b7b26b32204a8fa1034c58cad048fed35"
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
        replace(RELEASE, decoding={"temperature": 0, "seed": 8}),
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
