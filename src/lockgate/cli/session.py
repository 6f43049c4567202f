"""What every command can ask for: the environment, the configuration, the parts that app builds."""

import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lockgate.cli.output import Bar, Silence
from lockgate.config.environment import Environment
from lockgate.ports import GatewayState, Progress

if TYPE_CHECKING:
    from lockgate.config.load import Loaded
    from lockgate.oci.models import ModelStore

T = TypeVar("T")


@dataclass
class Session:
    """One run of the program. Everything is made at the first use."""

    environment: Environment
    config_file: Path | None = None
    """From `--config`; None means `LOCKGATE_CONFIG`, or found upward from here."""
    quiet: bool = False
    exit_code: int = field(default=0, init=False)

    @cached_property
    def loaded(self) -> "Loaded":
        """The configuration, and the file that it came from."""
        from lockgate.config.load import load

        return load(self.config_file or self.environment.config_file, start=Path.cwd())

    def models(self) -> "ModelStore":
        """Return the local model store."""
        from lockgate.app.models import model_store

        return model_store(self.loaded, self.environment)

    def store(self) -> AbstractAsyncContextManager[GatewayState]:
        """Return the database with the audit log, to be opened inside `run`."""
        from lockgate.app.state import open_store

        return open_store(self.loaded, self.environment)

    def progress(self) -> Progress:
        """Return a bar for a terminal, silence for anything else."""
        return Silence() if self.quiet or not sys.stderr.isatty() else Bar()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for `work`: the one place where sync meets async."""
        import asyncio

        return asyncio.run(work())
