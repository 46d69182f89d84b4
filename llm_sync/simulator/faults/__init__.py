"""Behaviour scripts: what a simulated provider does to which request (docs/testing.md)."""
