"""What is looked for, one analyser a file. `lockgate.tasks.review.analyse` has the list."""
