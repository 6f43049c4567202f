"""Reports of a run. No canary is in any of them."""
