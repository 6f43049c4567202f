"""Calls that are dangerous, one language a file. Sources: CWE-78, 79, 89, 94, 295, 327, 502."""
