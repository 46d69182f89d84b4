"""What the command line prints: answers, messages, progress, logs."""
