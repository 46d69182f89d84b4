"""The simulator: the APIs of all supported providers, served on loopback by a real HTTP server.

``Simulator`` is the entry point; ``command`` runs it for the command line. The simulator shares no code with the client, so
that a mistake in one is not repeated in the other. Its names are imported on first use, because pytest loads this package, for
its fixture, in every test run of an environment where llm-sync is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_sync.simulator.server.hold import Hold as Hold
    from llm_sync.simulator.server.request_log import RequestRecord as RequestRecord
    from llm_sync.simulator.server.response import Response as Response
    from llm_sync.simulator.server.server import Simulator as Simulator

_MODULES = {"Hold": "hold", "RequestRecord": "request_log", "Response": "response", "Simulator": "server"}
__all__ = ["Hold", "RequestRecord", "Response", "Simulator"]

if not TYPE_CHECKING:  # otherwise type checkers accept any name, even a misspelt one

    def __getattr__(name: str) -> object:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value: object = getattr(import_module(f"{__name__}.server.{module}"), name)
        globals()[name] = value
        return value
