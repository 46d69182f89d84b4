"""A lock for imports made while threads run. A fork waits for it.

Rarely needed modules are imported by the first request that needs them, on a worker thread. A child forked during such an
import would inherit a half-imported module, locked by a thread that does not exist there; its own import of that module
would hang.
"""

from __future__ import annotations

# Import logging first. A fork takes the locks in reverse order of registration, and imported modules take logging's lock. A
# fork that took logging's lock before this one would deadlock with an import that holds this one.
import logging  # noqa: F401
import os
import threading

import_lock = threading.RLock()
"""Use ``with import_lock:`` around such an import. Re-entrant, because an imported module may itself import this way or fork."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=import_lock.acquire, after_in_parent=import_lock.release, after_in_child=import_lock.release)
