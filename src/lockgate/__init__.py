"""Lockgate: small, local AI in software delivery, released like code.

Import from submodules; this file re-exports nothing.
"""

__version__ = "0.1.0"
