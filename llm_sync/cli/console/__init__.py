"""What the command line writes: answers, messages, progress, logs."""
