"""The task `review`: what a reviewer should look at in a diff, by deterministic analysers."""
