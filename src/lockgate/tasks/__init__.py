"""The built-in tasks, and tasks made of a folder. `lockgate.app` holds the table."""
