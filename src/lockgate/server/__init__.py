"""The gateway's edge: HTTP in, one call of the engine or of an upstream, HTTP out."""
