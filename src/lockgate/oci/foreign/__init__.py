"""Models that other tools packed: recognised by media types, taken in as models of ours."""
