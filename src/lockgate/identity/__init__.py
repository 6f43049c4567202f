"""Who is calling: API keys, and tokens that an identity provider signed."""
