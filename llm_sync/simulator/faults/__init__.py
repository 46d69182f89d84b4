"""Behaviour scripts (docs/testing.md): rules that match requests, and their actions: delays, errors, body and transfer faults."""
