"""What is sent when a request with several texts is refused: its halves, until the texts that are to blame stand alone.

A refused request is not billed, so this costs time only. Errors that no other selection of texts would avoid (the key, the model,
the quota, a parameter) are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from llm_sync.errors import ContentBlockedError, ContextLengthExceededError, InvalidRequestError, LLMConnectorError

T = TypeVar("T")
_TEXTS_TO_BLAME = (InvalidRequestError, ContextLengthExceededError, ContentBlockedError)
_PARAMETER = re.compile(r"dimension|encoding_format|input_type|task_?type|output_dtype|embedding_types", re.IGNORECASE)
_REFUSED = (400, 403, 413, 422)
MAX_ALIKE = 3  # texts refused one by one, before any is taken, until the others are not tried


def may_divide(error: BaseException | None) -> bool:
    """Whether fewer texts may be taken where these were refused."""
    if not isinstance(error, _TEXTS_TO_BLAME) or error.status is None:
        return False  # refused by this program, before it was sent
    if isinstance(error, ContextLengthExceededError):
        return True
    return error.status in _REFUSED and not _PARAMETER.search(error.message)


def ask_divided(
    texts: Sequence[str], error: LLMConnectorError, ask: Callable[[Sequence[str]], T | LLMConnectorError]
) -> list[tuple[int, T | LLMConnectorError]]:
    """Ask the halves of ``texts``, which were refused with ``error``, and so on; the outcomes in order, each with the number of
    texts it is for. When three single texts are refused alike and none was taken, the others are not tried."""
    outcomes: list[tuple[int, T | LLMConnectorError]] = []
    pending = _halves(texts)
    alike, taken = 0, False
    while pending:
        part = pending.pop()
        if alike >= MAX_ALIKE and not taken:
            outcomes.append((len(part), error))
            continue
        outcome = ask(part)
        if isinstance(outcome, LLMConnectorError) and may_divide(outcome) and len(part) > 1:
            pending += _halves(part)
            continue
        outcomes.append((len(part), outcome))
        if not isinstance(outcome, LLMConnectorError):
            taken = True
        elif not isinstance(outcome, ContextLengthExceededError):
            alike += 1
    return outcomes


def _halves(texts: Sequence[str]) -> list[Sequence[str]]:
    """The first half last: the next to be asked."""
    middle = (len(texts) + 1) // 2
    return [texts[middle:], texts[:middle]]
