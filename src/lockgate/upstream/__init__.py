"""Model servers elsewhere: a closed set, each address resolved once and pinned."""
