"""Text that no CI system takes for a command.

Azure Pipelines runs `##vso[area.action]` wherever it stands in a line of a log, and the runner of
GitHub and Azure its older form `##[command]`: a report that quotes a stranger must not carry one.
"""

import re
from typing import Final

_COMMAND: Final = re.compile(r"##(?=(?:vso)?\[)", re.IGNORECASE)


def inert(text: str) -> str:
    """Return a text with its commands taken apart by a space."""
    return _COMMAND.sub("# #", text)
