"""One module per command; ``run(args)`` does the work and returns the exit status."""
