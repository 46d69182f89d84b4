"""Imports made while threads run. A fork waits for them.

Rarely needed modules are imported by the first request that needs them, on a worker thread or a calling one. A child forked
during such an import would inherit a half-imported module, locked by a thread that does not exist there; its own import of that
module would hang.
"""

from __future__ import annotations

from llm_sync.runtime.fork_barrier import fork_barrier

# The same barrier as for TLS. With one each, a fork that has closed that of imports would wait for a handshake in which a thread
# waits to import.
import_lock = fork_barrier
"""Use ``with import_lock:`` around such an import. An imported module may itself import this way or fork."""
