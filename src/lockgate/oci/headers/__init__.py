"""Reads the headers of weights: bounded, and without the libraries that load them."""
