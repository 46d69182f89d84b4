"""The HTTP reply of an attempt."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from requests.structures import CaseInsensitiveDict

from llm_sync.models.attempts import by_lower_name
from llm_sync.transport.framing import Headers


@pytest.mark.parametrize(
    "headers",
    [Headers({"x-request-id": "1", "date": "now"}), CaseInsensitiveDict({"X-Request-Id": "1", "Date": "now"})],
    ids=["fast path", "session"],
)
def test_headers_are_found_by_lower_case_names(headers: Mapping[str, str]) -> None:
    """However the server writes them, and whichever path they came by."""
    assert dict(by_lower_name(headers)) == {"x-request-id": "1", "date": "now"}
