"""Backends that do not run a model which is turned off."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lockgate.app.gateway_controls import Switch
from lockgate.domain.call import DataClass
from lockgate.domain.inference import Dispatch, Result
from lockgate.errors import TurnedOff
from lockgate.ports import Backend


class SwitchedBackends(Mapping[str, Backend]):
    """Backends by name. The task whose model is off goes on as if the model did not answer."""

    def __init__(self, backends: Mapping[str, Backend], switch: Switch) -> None:
        self._backends = backends
        self._switch = switch

    def __getitem__(self, name: str) -> Backend:
        return _Switched(self._backends[name], self._switch)

    def __iter__(self) -> Iterator[str]:
        return iter(self._backends)

    def __len__(self) -> int:
        return len(self._backends)


@dataclass(frozen=True, slots=True)
class _Switched:
    """Implements `ports.Backend` around another one."""

    backend: Backend
    switch: Switch

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self.backend.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        """As `ports.Backend.infer`. Raises TurnedOff, too, if the model is off."""
        off = self.switch.now.of_model(dispatch.model)
        if off is not None:
            raise TurnedOff(
                f"the model `{dispatch.model}` is turned off since {off.at}: {off.reason}"
            )
        return await self.backend.infer(dispatch)
