"""May this release run there? A pure function from evidence, policy, trust and time."""
