"""What one provider lists."""

from __future__ import annotations

from llm_sync.errors import LLMConnectorError
from llm_sync.models.frozen import Frozen, dataclass


@dataclass(frozen=True, repr=False, eq=False)
class ModelListing(Frozen):
    """What one provider lists. ``models``: ids without ``models/``; ``missing``: configured but not listed; or ``error``."""

    models: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    error: LLMConnectorError | None = None
