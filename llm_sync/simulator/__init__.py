"""The simulator: the dialects of every provider, served on loopback by a real HTTP server.

``Simulator`` is its front door; ``command`` runs it for the command line. It knows nothing of the client and shares no code
with it, so that a mistake of one is not the other's too.
"""

from __future__ import annotations

from llm_sync.simulator.dialect import Response
from llm_sync.simulator.hold import Hold
from llm_sync.simulator.requestlog import RequestRecord
from llm_sync.simulator.server import Simulator

__all__ = ["Hold", "RequestRecord", "Response", "Simulator"]
