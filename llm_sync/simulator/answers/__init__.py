"""What the simulated models answer: generated text, an answers file, a replayed run, or recorded exchanges."""
