"""Tasks that are a folder of prompts and schemas, and need no Python."""
