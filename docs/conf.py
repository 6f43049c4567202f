"""Sphinx: the pages in this folder, as one site, with no network."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "Lockgate"
author = "The Lockgate developers"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "Lockgate"
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ["_build"]


def setup(app: Sphinx) -> None:
    """Show Mermaid diagrams as text: forges draw them, and a page loads nothing from elsewhere."""
    app.add_lexer("mermaid", TextLexer)
