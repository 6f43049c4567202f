"""The kinds of artifacts: for each a typed config, what builds one, and what checks one."""
