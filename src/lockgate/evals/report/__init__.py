"""What a finished run looks like to people and to other programs."""
