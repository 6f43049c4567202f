"""Model backends by name, made when a call needs them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from lockgate.config import settings
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.errors import InvalidConfig, NotFound
from lockgate.ports import Backend

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassettes:
    """Where inferences are recorded to or played back from."""

    record: Path | None = None
    playback: Path | None = None


class Backends(Mapping[str, Backend]):
    """Backends by name, made when a call needs them: importing a model runtime takes time."""

    def __init__(
        self,
        loaded: Loaded,
        environment: Environment,
        models: "ModelStore",
        cassettes: Cassettes,
    ) -> None:
        self._loaded = loaded
        self._environment = environment
        self._models = models
        self._cassettes = cassettes
        self._closers: list[Callable[[], None]] = []
        self._open: dict[str, Backend] = {}

    def __getitem__(self, name: str) -> Backend:
        if name not in self._open:
            self._open[name] = self._make(name)
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter({*settings.BUILT_IN_BACKENDS, *self._loaded.config.backends})

    def __len__(self) -> int:
        return len({*settings.BUILT_IN_BACKENDS, *self._loaded.config.backends})

    def close(self) -> None:
        """Close every backend that was used."""
        for closer in reversed(self._closers):
            closer()

    def _make(self, name: str) -> Backend:
        from lockgate.backends.replay import Cassette, RecordingBackend, ReplayBackend

        if self._cassettes.playback:
            return ReplayBackend(Cassette(self._cassettes.playback))
        found = self._loaded.config.backend(name)
        if found is None:
            raise NotFound(
                f"there is no backend `{name}`", hint="name it in lockgate.toml under `backends`"
            )
        backend = self._open_backend(name, found)
        if self._cassettes.record:
            return RecordingBackend(backend, Cassette(self._cassettes.record))
        return backend

    def _open_backend(self, name: str, found: settings.BackendSettings) -> Backend:
        match found:
            case settings.LlamaCppBackend():
                from lockgate.backends.llama_cpp import LlamaCppBackend

                llama = LlamaCppBackend(
                    self._models, threads=found.threads, context_tokens=found.context_tokens
                )
                self._closers.append(llama.close)
                return llama
            case settings.OnnxBackend():
                from lockgate.backends.onnx import OnnxBackend

                onnx = OnnxBackend(self._models, workers=found.workers)
                self._closers.append(onnx.close)
                return onnx
            case settings.LinearBackend():
                from lockgate.backends.linear import LinearBackend

                return LinearBackend(self._models)
            case settings.OpenAIBackend():
                from lockgate.backends.openai import Egress, OpenAIBackend
                from lockgate.upstream.address import pin

                return OpenAIBackend(
                    found.url,
                    token=self._token(found),
                    timeout_s=found.timeout_s,
                    data_classes=frozenset(found.data_classes),
                    models=found.models,
                    egress=Egress(
                        find=lambda: pin(name, found.url, networks=found.networks).addresses,
                        ca_file=self._environment.ca_file,
                    ),
                )
            case settings.ReplayBackend():
                from lockgate.backends.replay import Cassette, ReplayBackend

                return ReplayBackend(Cassette(self._loaded.resolve(found.path)))
            case _:
                assert_never(found)

    def _token(self, found: settings.OpenAIBackend) -> str | None:
        if found.token_env is None:
            return None
        token = self._environment.secret(found.token_env)
        if token is None:
            raise InvalidConfig(
                f"the environment variable `{found.token_env}` is not set",
                hint="`token_env` of a backend in lockgate.toml names it",
            )
        return token
