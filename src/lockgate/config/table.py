"""What all tables of all files share."""

from collections.abc import Mapping
from typing import Any, ClassVar


class Table:
    """Unknown keys are refused, and docstrings become descriptions."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
        "use_attribute_docstrings": True,
    }
