"""Release notes from commits: parse, classify, group, phrase."""
