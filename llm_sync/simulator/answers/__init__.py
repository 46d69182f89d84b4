"""Answers of the simulated models: generated, or from an answers file or a replayed batch."""
