"""What attestations say: builders and strict readers, one predicate type a module."""
