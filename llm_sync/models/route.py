"""Where a request goes: the provider, and the name the model has there.

``llm_sync.config.routing`` finds the route for a model's name; records, batches and the command line pass it on.
"""

from __future__ import annotations

from typing import NamedTuple


class Route(NamedTuple):
    """A provider's name and the model's bare name there."""

    provider: str
    model: str
