"""What a collector wants to be sent with spans, such as a token, as OpenTelemetry writes it.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables
"""

import re
from typing import Final
from urllib.parse import unquote

from lockgate.errors import InvalidConfig

_NAME: Final = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile("[\x20-\x7e]{1,8000}")
_OURS: Final = frozenset({"content-type", "content-length", "transfer-encoding", "host"})


def read_headers(text: str, variable: str) -> dict[str, str]:
    """Return the headers of `NAME=VALUE,NAME=VALUE`, with values in percent-encoding.

    Raises:
        InvalidConfig: it is not that. No part of a value is quoted: it may be a secret.

    """
    found: dict[str, str] = {}
    for number, part in enumerate(text.split(","), 1):
        name, equals, value = part.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        wrong = not equals or _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None
        if wrong or name in _OURS:
            raise InvalidConfig(
                f"entry {number} of the environment variable `{variable}` is no header",
                hint="it is `NAME=VALUE,NAME=VALUE`, as in `authorization=Bearer%20TOKEN`",
            )
        found[name] = value
    return found
