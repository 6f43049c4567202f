"""The stories: how a call is answered, how an inference runs, how it is recorded."""
