"""Decides what may go on now, later, elsewhere, or not at all."""
