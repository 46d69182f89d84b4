"""A small real model on this machine: llama.cpp's server, started on loopback for as long as it is needed.

``LocalModel`` is the entry point; ``command`` runs it for the command line. The package xllamacpp has llama.cpp with its server
as a prebuilt wheel, without dependencies. It is imported in the server's own process alone (``server``).
"""

from __future__ import annotations

from llm_sync.local.model import LocalModel

__all__ = ["LocalModel"]
