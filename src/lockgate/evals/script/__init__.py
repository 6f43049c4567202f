"""One-line JavaScript expressions, read into a tree of our own: nothing of them is ever run."""
