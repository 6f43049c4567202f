"""Model backends, one a module. `lockgate.app` holds the table of kinds."""
