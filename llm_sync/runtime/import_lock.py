"""Imports that are made while threads run, and that forks wait for.

What few need is imported by the first request that needs it, on whatever thread that runs. A child that is forked meanwhile
inherits half a module, under a lock of the import system whose owner it does not have: its own first use of that module
would wait there for ever.
"""

from __future__ import annotations

# First of all: a fork takes locks in the reverse order of their registration, and what is imported asks logging for its lock.
# A fork that took logging's before this one, and an import under this one, would wait for each other for ever.
import logging  # noqa: F401
import os
import threading

forks_wait = threading.RLock()
"""``with forks_wait:`` around such an import. Re-entrant: what is imported may import likewise, and may fork."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=forks_wait.acquire, after_in_parent=forks_wait.release, after_in_child=forks_wait.release)
