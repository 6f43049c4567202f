import asyncio
from pathlib import Path

import pytest

from lockgate.backends.replay import Cassette, RecordingBackend, ReplayBackend
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Completion, Dispatch, Generate, Message, Result
from lockgate.domain.recording import dispatch_digest
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt, Unavailable


class Parrot:
    """Implements ports.Backend by repeating the last message."""

    data_classes = frozenset({DataClass.PUBLIC})

    async def infer(self, dispatch: Dispatch) -> Result:
        assert isinstance(dispatch.request, Generate)
        text = dispatch.request.messages[-1].content
        return Completion(text=text, usage=Usage(output_tokens=2), logprobs=(-0.25, -1.0))


def dispatch(text: str, model: bytes = b"m") -> Dispatch:
    request = Generate(messages=(Message(role="user", content=text),))
    return Dispatch(model="parrot", digest=Digest.of(model), request=request)


def test_what_was_recorded_is_played_back_exactly(tmp_path: Path) -> None:
    recording = RecordingBackend(Parrot(), Cassette(tmp_path / "cassette"))
    said = asyncio.run(recording.infer(dispatch("grüß dich")))

    played = asyncio.run(
        ReplayBackend(Cassette(tmp_path / "cassette")).infer(dispatch("grüß dich"))
    )

    assert played == said
    assert recording.data_classes == {DataClass.PUBLIC}


def test_another_text_or_another_model_was_not_recorded(tmp_path: Path) -> None:
    asyncio.run(RecordingBackend(Parrot(), Cassette(tmp_path)).infer(dispatch("a")))
    replay = ReplayBackend(Cassette(tmp_path))

    for other in (dispatch("b"), dispatch("a", model=b"other")):
        with pytest.raises(Unavailable, match=str(dispatch_digest(other))):
            asyncio.run(replay.infer(other))


@pytest.mark.parametrize("content", [b"", b"{", b'{"kind":"poem"}', b"[]"])
def test_a_damaged_recording_is_corrupt(content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{dispatch_digest(dispatch('a')).hex}.json").write_bytes(content)

    with pytest.raises(Corrupt):
        asyncio.run(ReplayBackend(Cassette(tmp_path)).infer(dispatch("a")))
