"""Runs Python of a suite in a process with a bound on time, memory and output."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput
from lockgate.evals.files import SCHEME, Files, read_text

TIMEOUT_S = 10.0
CPU_SECONDS = 10
MEMORY_BYTES = 1 << 30
MAX_OUTPUT = 1 << 20
_FUNCTION = "get_assert"
_SHOWN = 300
_DRIVER = Path(__file__).with_name("driver.py")


@dataclass(frozen=True, slots=True)
class CodeRunner:
    """Implements `RunCode`: one process an assertion, without this one's environment."""

    files: Files
    timeout_s: float = TIMEOUT_S

    async def __call__(self, code: str, given: JsonObject) -> Json:
        """Return what the code gives.

        Raises:
            InvalidInput: it fails, takes too long or too much, or gives no JSON.

        """
        request = json.dumps({**self._read(code), **given, **_LIMITS}).encode()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-B", str(_DRIVER)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.files.folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
        try:
            async with asyncio.timeout(self.timeout_s):
                out, err = await process.communicate(request)
        except TimeoutError:
            raise InvalidInput(f"the code took more than {self.timeout_s:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = err.decode("utf-8", "replace").strip().splitlines()
            why = said[-1][:_SHOWN] if said else f"it ended with {process.returncode}"
            raise InvalidInput(f"the code failed: {why}")
        if len(out) > MAX_OUTPUT:
            raise InvalidInput(f"the code gave more than {MAX_OUTPUT} bytes")
        try:
            value: Json = json.loads(out)
        except (ValueError, RecursionError):
            raise InvalidInput("the code gave nothing that is JSON") from None
        return value

    def _read(self, code: str) -> dict[str, Json]:
        if not code.startswith(SCHEME):
            return {"code": code, "file": False, "function": _FUNCTION, "title": "assertion"}
        name, _, function = code.removeprefix(SCHEME).partition(":")
        path = (self.files.folder / name).resolve()
        if not path.is_relative_to(self.files.root) or path.suffix != ".py":
            raise InvalidInput(f"`{code[:80]}` is no Python file of this project")
        return {
            "code": read_text(path),
            "file": True,
            "function": function or _FUNCTION,
            "title": name,
        }


_LIMITS: JsonObject = {"memory_bytes": MEMORY_BYTES, "cpu_seconds": CPU_SECONDS}
