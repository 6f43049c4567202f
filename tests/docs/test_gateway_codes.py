"""The guide of the gateway names every code that a client can get."""

import re
from pathlib import Path

from lockgate import errors
from lockgate.errors import LockgateError

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "gateway.md").read_text("utf-8")
SERVER = ROOT / "src" / "lockgate" / "server"
CLI_ONLY = {"usage"}


def test_every_code_that_the_server_answers_is_in_the_guide() -> None:
    sources = "".join(path.read_text("utf-8") for path in SERVER.glob("*.py"))
    told = set(re.findall(r'HttpFailure\(\s*[\w.]+,\s*"([a-z-]+)"', sources))
    assert len(told) > 10, "they are found where they are made"
    told |= {
        found.code
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, LockgateError)
    }
    table = set(re.findall(r"`([a-z-]+)`", GUIDE.partition("| status | code |")[2]))
    assert told - CLI_ONLY <= table
