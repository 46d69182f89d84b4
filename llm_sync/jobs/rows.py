"""From a row to the answer or the error that it is: read, checked and classified as the reply of a direct call is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llm_sync.errors import LLMConnectorError, ProviderUnavailableError
from llm_sync.jobs.wire import CANCELLED, EXPIRED, Row
from llm_sync.models import ModelResponse, PreparedRequest, Reply
from llm_sync.providers.error_context import add_context

if TYPE_CHECKING:
    from llm_sync.providers.base import LLMProvider
    from llm_sync.providers.reply_reader import ReplyReader

_NOT_RUN = {
    EXPIRED: "the provider did not get to this request before the job expired",
    CANCELLED: "the job was cancelled before the provider got to this request",
}
_REQUEST_ID = "x-request-id"  # the header in which a direct answer has it
_NO_ROW = "the job has ended, and the provider has no row for this request"
_REBUY = "It may have been billed; --rebuy (rebuy=True) sends it again."
_AGAIN = "Nothing was billed for it; the same command sends it again."


class RowReader:
    """Reads the rows of one provider's jobs. ``reader``: its reply reader, at the price of a batch."""

    def __init__(self, provider: LLMProvider, reader: ReplyReader) -> None:
        self._provider = provider
        self._reader = reader

    def outcome(self, prepared: PreparedRequest, row: Row, seconds: float) -> ModelResponse | LLMConnectorError:
        """The answer or the error. ``seconds``: how long its job took."""
        if row.end:
            return self.not_run(prepared, row.end)
        content = json.dumps(row.body, ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = {_REQUEST_ID: row.request_id} if row.request_id else {}
        try:
            return self._reader.response(prepared, Reply(row.status, headers, content, seconds), 1)
        except LLMConnectorError as error:
            self._provider.credential.redactor().error(error)
            return self._finished(error, prepared, row.status)
        except RecursionError:
            pass
        return self._finished(self._reader.too_deep(Reply(row.status, headers, content[:0], seconds)), prepared, row.status)

    def not_run(self, prepared: PreparedRequest, end: str) -> LLMConnectorError:
        """The error of a request without an answer; ``end`` is how its job ended. In a job that ended as it should, a request
        without a row may have been billed all the same."""
        message = _NOT_RUN.get(end)
        if message is None:
            error = ProviderUnavailableError(_NO_ROW, retryable=False, possibly_billed=1, guidance=_REBUY)
        else:
            error = ProviderUnavailableError(message, retryable=True, guidance=_AGAIN)
        return self._finished(error, prepared, None)

    def _finished(self, error: LLMConnectorError, prepared: PreparedRequest, status: int | None) -> LLMConnectorError:
        add_context(error, self._provider.config, prepared.model)
        error.attempts = 1
        if status is None:
            error.status = None
        return error
