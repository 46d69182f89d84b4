"""Closes the clients that the process shares, so that the next ones are made with the settings of now."""

from __future__ import annotations

import sys


def close_loaded_clients() -> None:
    """Close those of ``llm_sync.generate`` and of the shims; imports nothing: what is not loaded has no clients."""
    shared = sys.modules.get("llm_sync.client.shared_clients")
    if shared is not None:
        shared.close(cancel_pending=True)
    settings = sys.modules.get("llm_sync.compat.shim.settings")
    if settings is not None:
        settings.reset()
    shim_clients = sys.modules.get("llm_sync.compat.shim.targets")
    if shim_clients is not None:
        shim_clients.close(cancel_pending=True)
