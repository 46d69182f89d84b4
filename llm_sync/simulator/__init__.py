"""The simulator: the dialects of every provider, served on loopback by a real HTTP server.

``Simulator`` is its front door; ``command`` runs it for the command line. It knows nothing of the client and shares no code
with it, so that a mistake of one is not the other's too. Its names are imported on first use: pytest loads this package in
every run of whoever has llm-sync installed, for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_sync.simulator.server.hold import Hold as Hold
    from llm_sync.simulator.server.request_log import RequestRecord as RequestRecord
    from llm_sync.simulator.server.response import Response as Response
    from llm_sync.simulator.server.server import Simulator as Simulator

_HOME = {"Hold": "hold", "RequestRecord": "request_log", "Response": "response", "Simulator": "server"}
__all__ = ["Hold", "RequestRecord", "Response", "Simulator"]

if not TYPE_CHECKING:  # type checkers would believe in any name, even a misspelt one

    def __getattr__(name: str) -> object:
        module = _HOME.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value: object = getattr(import_module(f"{__name__}.server.{module}"), name)
        globals()[name] = value
        return value
