"""Credentials in URLs: removed from a request that is queued, added again when it is sent."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from llm_sync.config.models import ProviderConfig, is_credential


def secret_names(config: ProviderConfig, field: str) -> frozenset[str]:
    """The names in ``headers`` or ``query`` (``field``) whose values are credentials: by the name, or because the value comes
    from a variable."""
    by_variable = {name for where, name in config.templates if where == field}
    return frozenset(name for name in getattr(config, field) if is_credential(name) or name in by_variable)


def without_secrets(url: str) -> str:
    """``url`` without user name, password, query and fragment, for messages."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class URLSecrets:
    """The credentials in the URLs of one provider. May be used by several threads."""

    def __init__(self, config: ProviderConfig, base_url: str) -> None:
        parts = urlsplit(base_url)
        names = secret_names(config, "query")
        self._userinfo, at, _ = parts.netloc.rpartition("@")
        configured = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **config.query}
        self._fields = {name: value for name, value in configured.items() if name in names or is_credential(name)}
        self._any = bool(at or self._fields)

    def removed(self, url: str) -> str:
        """``url`` without the credentials."""
        if not self._any:
            return url
        parts = urlsplit(url)
        fields = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in self._fields]
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(fields)).geturl()

    def added(self, url: str) -> str:
        """``url``, as ``removed`` left it, with the credentials."""
        if not self._any:
            return url
        parts = urlsplit(url)
        netloc = f"{self._userinfo}@{parts.netloc}" if self._userinfo else parts.netloc
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *self._fields.items()])
        return parts._replace(netloc=netloc, query=query).geturl()
