"""Answers of the simulated models: generated, or from an answers file, a replayed batch or recorded exchanges."""
