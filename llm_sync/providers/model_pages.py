"""The models that an endpoint lists, page by page; loaded when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm_sync.errors import LLMConnectorError
from llm_sync.providers.attempt import Exchange
from llm_sync.providers.dialect import Page
from llm_sync.providers.guidance import guidance_for_no_listing
from llm_sync.providers.reply_reader import ReplyReader

MAX_PAGES = 200  # a server that never ends its listing is not followed for ever


def all_pages(reader: ReplyReader, headers: Mapping[str, str], control: Any, fetch: Callable[[Exchange], Page]) -> list[str]:
    """The ids of all models, in the endpoint's order; ``fetch`` makes an exchange, with its retries. Raises LLMConnectorError."""
    dialect, models = reader.dialect, dict[str, None]()
    query = dict(dialect.listing_query)
    try:
        for _ in range(MAX_PAGES):
            ids, following = fetch(Exchange("GET", dialect.listing_url(query), None, headers, control, reader.listing))
            models.update(dict.fromkeys(ids))
            if not following or following == query:
                break
            query = following
    except LLMConnectorError as error:
        if error.status in (404, 405):
            error.guidance = guidance_for_no_listing(reader.target())
        raise
    return list(models)
