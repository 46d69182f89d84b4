"""One module per command; its ``run(args)`` does the work and returns the exit status."""
