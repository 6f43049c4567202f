"""The command line: parse, call the engine once, print."""
