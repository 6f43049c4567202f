"""What is kept of models inside the process: whole answers, and the vector of each text."""

import hashlib
import struct
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from lockgate.app.gateway_controls import Controls, exact_cache
from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.config.gateway_settings import CacheSettings, ServerKey, ServerSettings
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Completion, Dispatch, Embed, Embedding, Result
from lockgate.domain.usage import Usage
from server.serving import CHAT, Served, serving

KEYS = {"one": "a" * 64, "two": "b" * 64}


class Model:
    """Embeds a text as its length, and counts what it is asked."""

    data_classes = frozenset(DataClass)

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.chats = 0

    async def infer(self, dispatch: Dispatch) -> Result:
        request = dispatch.request
        if isinstance(request, Embed):
            self.texts += request.texts
            vectors = tuple(struct.pack("<2f", len(text), 1.0) for text in request.texts)
            return Embedding(vectors=vectors, usage=Usage(input_tokens=len(request.texts)))
        self.chats += 1
        return Completion(text=f"answer {self.chats}", usage=Usage(output_tokens=2))


@contextmanager
def serve(model: Model, *, ttl_s: float = 60, release: bytes = b"r1") -> Generator[Served]:
    def served(name: str, *, generates: bool) -> EmbeddedModel:
        return EmbeddedModel(
            name=name,
            backend_name="here",
            backends={"here": model},
            digest=Digest.of(b"model"),
            generates=generates,
            release=release,
        )

    async def models() -> dict[str, ServedModel]:
        return {"m": served("m", generates=True), "e": served("e", generates=False)}

    keys = {
        name: ServerKey(
            sha256=hashlib.sha256(secret.encode()).hexdigest(),
            team=name,
            roles=("caller", "auditor"),
            scopes=("model:*",),
        )
        for name, secret in KEYS.items()
    }
    controls = Controls(cache=exact_cache(ServerSettings(cache=CacheSettings(ttl_s=ttl_s))))
    with serving(models, keys=keys, controls=controls) as found:
        yield found


def embed(served: Served, *texts: str, team: str = "one", **more: Any) -> tuple[str, Any]:
    headers = {"Authorization": f"Bearer {KEYS[team]}"}
    body = {"model": "e", "input": list(texts), **more}
    response, answer = served.ask("POST", "/v1/embeddings", body, headers)
    return response.headers["x-lockgate-cache"], answer


def lengths(answer: Any) -> list[float]:
    return [row["embedding"][0] for row in answer["data"]]


def test_only_texts_that_are_not_kept_are_embedded_and_the_order_is_that_of_the_request() -> None:
    model = Model()
    with serve(model) as served:
        assert embed(served, "a", "bb")[0] == "miss"
        state, answer = embed(served, "ccc", "a", "ccc", "bb")
        assert (state, lengths(answer)) == ("partial", [3, 1, 3, 2])
        assert answer["usage"]["prompt_tokens"] == 1, "for what was read"
        state, answer = embed(served, "bb", "ccc")
        assert (state, lengths(answer)) == ("hit", [2, 3])
        assert answer["usage"]["prompt_tokens"] == 0
    assert model.texts == ["a", "bb", "ccc"]


def test_a_kept_vector_comes_in_either_form_and_what_is_refused_stays_refused() -> None:
    model = Model()
    with serve(model) as served:
        embed(served, "a")
        state, answer = embed(served, "a", encoding_format="base64")
        assert (state, answer["data"][0]["embedding"]) == ("hit", "AACAPwAAgD8=")
        assert embed(served, "a", dimensions=1)[1]["error"]["code"] == "invalid-input"


def test_another_team_gets_nothing_of_what_is_kept() -> None:
    model = Model()
    with serve(model) as served:
        embed(served, "secret plan")
        assert embed(served, "secret plan", team="two")[0] == "miss"
    assert model.texts == ["secret plan"] * 2


def test_an_equal_chat_is_answered_once_and_a_stream_is_not_kept() -> None:
    model = Model()
    headers = {"Authorization": f"Bearer {KEYS['one']}"}
    with serve(model) as served:
        states, texts = [], set()
        for _ in range(3):
            response, answer = served.ask("POST", "/v1/chat/completions", CHAT, headers)
            states.append(response.headers["x-lockgate-cache"])
            texts.add(answer["choices"][0]["message"]["content"])
        assert (states, texts) == (["miss", "hit", "hit"], {"answer 1"})
        streamed = {**CHAT, "stream": True}
        response, _ = served.ask("POST", "/v1/chat/completions", streamed, headers)
        assert response.headers["x-lockgate-cache"] == "bypass"
    assert model.chats == 2


def test_hits_and_misses_of_both_kinds_are_counted() -> None:
    with serve(Model()) as served:
        embed(served, "a", "b")
        embed(served, "a", "b", "c")
        page = served.ask("GET", "/metrics", None, {"x-api-key": KEYS["one"]})[1].decode()
    assert 'lockgate_cache_lookups_total{cache="embedding",state="hit"} 2' in page
    assert 'lockgate_cache_lookups_total{cache="embedding",state="miss"} 3' in page


def test_a_client_may_want_an_answer_that_is_made_now_and_one_that_is_not_kept() -> None:
    def ask(path: str, body: Any, control: str = "") -> tuple[str, Any]:
        key = {"Authorization": f"Bearer {KEYS['one']}"}
        headers = {**key, "Cache-Control": control} if control else key
        response, answer = served.ask("POST", path, body, headers)
        return response.headers["x-lockgate-cache"], answer

    model = Model()
    chat, texts = "/v1/chat/completions", {"model": "e", "input": ["a"]}
    with serve(model) as served:
        found = [ask(chat, CHAT, control) for control in ("no-store", "", "No-Cache, x=y", "")]
        embedded = [ask("/v1/embeddings", texts, control)[0] for control in ("", "no-cache", "")]
        unseen = ask("/v1/embeddings", {"model": "e", "input": ["b"]}, "max-age=0, no-store")[0]
    assert [state for state, _ in found] == ["bypass", "miss", "miss", "hit"]
    said = [answer["choices"][0]["message"]["content"] for _, answer in found]
    assert said == ["answer 1", "answer 2", "answer 3", "answer 3"]
    assert (embedded, unseen, model.texts) == (["miss", "miss", "hit"], "bypass", ["a", "a", "b"])
