"""The URLs that one provider's requests go to, each put together once."""

from __future__ import annotations

from llm_sync.providers.dialect import Dialect
from llm_sync.providers.url_secrets import URLSecrets

_MAX_URLS = 256


class RequestURLs:
    """``queued``: URLs without secrets, by model; ``sent``: URLs with them, by the URL without. What is not there is added by
    ``add_queued`` and ``add_sent``: to put a URL together anew takes a sixteenth of a whole call. Any thread may use it.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.queued: dict[str, str] = {}
        self.sent: dict[str, str] = {}
        self._dialect = dialect
        self._secrets: URLSecrets | None = None

    def add_queued(self, model: str) -> str:
        """Where requests to ``model`` go, without secrets. Raises ConfigurationError where nothing says so."""
        secrets = self._known_secrets()
        if len(self.queued) >= _MAX_URLS:
            self.queued.clear()
        url = self.queued[model] = secrets.removed(self._dialect.url_for(model))
        return url

    def add_sent(self, url: str) -> str:
        """``url`` with its secrets, as it is sent."""
        secrets = self._known_secrets()
        if len(self.sent) >= _MAX_URLS:
            self.sent.clear()
        sent = self.sent[url] = secrets.added(url)
        return sent

    def _known_secrets(self) -> URLSecrets:
        if self._secrets is None:
            self._secrets = URLSecrets(self._dialect.config, self._dialect.base_url())
        return self._secrets
