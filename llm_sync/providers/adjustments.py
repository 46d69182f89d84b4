"""What a request's payload says differently from what was asked, collected while it is built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, AdjustmentNotice, ModelRequest
from llm_sync.models.fields import FIELDS, TEXT

_SETTINGS = tuple(field.name for field in FIELDS if field.wire and field.kind != TEXT)  # system prompts are sent as messages, too


class Adjustments:
    """Collects what is sent differently from what was asked; under ``strict`` a loss is refused instead.

    One per request, used by one thread.
    """

    def __init__(self, made: Iterable[Adjustment] = (), *, strict: bool = False) -> None:
        """``made``: adjustments from before, which need no notice any more."""
        self.made = list(made)
        self.notices: list[AdjustmentNotice] = []
        self._strict = strict

    def note(self, parameter: str, asked: Any, sent: Any, reason: str) -> None:
        """Something is sent in another form, or a value is filled in. Nothing asked for is lost."""
        self._add(Adjustment(parameter, asked, sent, reason), lost=False)

    def lose(self, parameter: str, asked: Any, sent: Any, reason: str) -> None:
        """Something asked for cannot be sent; ``sent`` is sent instead, or None. Raises InvalidRequestError under
        strict."""
        if self._strict:
            raise InvalidRequestError(
                f"{parameter}={asked!r} cannot be sent: {reason}",
                guidance="Leave it out, choose another model, or drop strict to have it adjusted.",
            )
        self._add(Adjustment(parameter, asked, sent, reason), lost=True)

    def lose_others(self, request: ModelRequest, sent: Iterable[str], reason: str) -> None:
        """``lose`` every setting of ``request`` but those in ``sent``, images and tool calls of its messages too.

        Raises as it.
        """
        turns = request.conversation()
        asked: dict[str, Any] = {name: getattr(request, name) for name in _SETTINGS}
        asked["images"] = [image for turn in turns for image in turn.images]
        asked["tool_calls"] = [call.name for turn in turns for call in turn.tool_calls]
        for name in sorted(asked.keys() - set(sent)):
            if asked[name] not in (None, (), []):
                self.lose(name, asked[name], None, reason)

    def _add(self, adjustment: Adjustment, *, lost: bool) -> None:
        self.made.append(adjustment)
        self.notices.append(AdjustmentNotice(adjustment.without_text(), lost))
