"""Where attacks are placed: inputs of each task's own shape, with something that must be kept."""
