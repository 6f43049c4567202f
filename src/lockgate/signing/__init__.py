"""Keys, and what they sign: DSSE envelopes in Sigstore bundles."""
