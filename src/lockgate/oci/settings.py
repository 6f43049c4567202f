"""What pulling needs to know of this machine."""

import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Places and credentials; the caller read them from the environment."""

    package_root: Path
    """Folder of the installed package: built-in models are below it."""
    hf_endpoint: str | None = None
    """Address of the Hugging Face hub or of a mirror. None refuses `hf` sources."""
    hf_token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """Certificates to trust instead of the default ones; pip's own `cert` setting wins for wheels.
    """
    python: str = sys.executable
    """The interpreter whose pip says where wheels are."""
