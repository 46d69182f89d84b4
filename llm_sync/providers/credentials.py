"""What proves to a provider who asks: a key in a header, or a Google Cloud token that is renewed before it expires."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from llm_sync.config.models import GOOGLE_CLOUD, Auth, ProviderConfig
from llm_sync.config.secrets import Secret
from llm_sync.errors import AuthenticationError, ConfigurationError, LLMConnectorError
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.dialect import Dialect
    from llm_sync.providers.ports import HTTP

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_RENEW_BEFORE = 300.0  # seconds; Google's tokens live an hour
_REMEMBERED = 4  # keys: a late reply may still echo one that was renewed since


class Credential(Protocol):
    """``source`` says where it comes from, in words, without the secret."""

    source: str | None

    def headers(self) -> dict[str, str]:
        """The headers that carry it. Raises AuthenticationError when it cannot be had."""

    def check(self) -> None:
        """Raise, without a network call, if it is clear that it cannot be had."""

    def identity(self) -> str:
        """What tells it from others, in any process, without giving it away. Raises AuthenticationError when it cannot be had."""

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """After a 401 to a request that carried ``refused``: whether there is another one now, fetched if need be.

        A credential that another thread has renewed meanwhile is not renewed again.
        """


class NoCredential:
    """Local servers ask for none."""

    source: str | None = None

    def headers(self) -> dict[str, str]:
        return {}

    def check(self) -> None:
        return None

    def identity(self) -> str:
        return ""

    def secrets(self) -> tuple[str, ...]:
        return ()

    def renew(self, refused: Mapping[str, str]) -> bool:
        return False


class KeyCredential:
    """A key in one header. Read when first used; a key that a command gives, or a changed file, is read again after a 401."""

    def __init__(self, secret: Secret, carry: Callable[[str], dict[str, str]]) -> None:
        self.source: str | None = secret.source
        self._secret = secret
        self._carry = carry
        self._used: tuple[str, ...] = ()  # keys, the newest first; replaced whole, so it is read without the lock
        self._known = ("", "")  # a key and its identity
        # Held by the one thread that gets a key: the others have nothing to do but wait for it, so I/O may happen here.
        self._renewing = threading.Lock()

    def headers(self) -> dict[str, str]:
        if not self._used:
            with self._renewing:
                if not self._used:
                    self._used = (self._secret.reveal(),)
        return self._carry(self._used[0])

    def check(self) -> None:
        self.headers()

    def identity(self) -> str:
        self.headers()
        key = self._used[0]
        known = self._known
        if known[0] != key:
            known = self._known = key, self._secret.identity()
        return known[1]

    def secrets(self) -> tuple[str, ...]:
        return self._used

    def renew(self, refused: Mapping[str, str]) -> bool:
        with self._renewing:
            if self._used and self._carry(self._used[0]) != refused:
                return True
            if not self._secret.refresh():
                return False
            key = self._secret.reveal()
            if key in self._used[:1]:
                return False
            self._used = (key, *self._used)[:_REMEMBERED]
            return True


class GoogleCredential:
    """A Google Cloud token from google-auth's default credentials, over our own HTTP client; one renewal at a time."""

    source: str | None = "Google Cloud's application default credentials"

    def __init__(self, http: HTTP) -> None:
        self._http = http
        self._credentials: Any = None
        self._used: tuple[str, ...] = ()  # tokens, the newest first; replaced whole, so it is read without the lock
        self._troubles: list[LLMConnectorError] = []  # what kept google-auth from the answers it asked for
        # Held by the one thread that fetches a token: the others have nothing to do but wait for it, so I/O may happen here.
        self._renewing = threading.Lock()

    def headers(self) -> dict[str, str]:
        with self._renewing:
            if self._credentials is None:
                self._credentials = self._default()
            if not self._fresh():
                self._refresh()
            return self._carried()

    def check(self) -> None:
        _google_auth()

    def identity(self) -> str:
        return GOOGLE_CLOUD  # the project stands in the URL, and tokens are new ones every hour

    def secrets(self) -> tuple[str, ...]:
        return self._used

    def renew(self, refused: Mapping[str, str]) -> bool:
        with self._renewing:
            if self._carried() == refused:
                self._refresh()
            return self._carried() != refused

    def _carried(self) -> dict[str, str]:
        token = self._credentials.token
        if token not in self._used:
            self._used = (token, *self._used)[:_REMEMBERED]
        headers = {"Authorization": f"Bearer {token}"}
        project = getattr(self._credentials, "quota_project_id", None)
        return {**headers, "x-goog-user-project": project} if project else headers

    def _fresh(self) -> bool:
        token, expiry = self._credentials.token, getattr(self._credentials, "expiry", None)
        if not token:
            return False
        if expiry is None:
            return True
        if expiry.tzinfo is None:
            expiry = expiry.replace(tzinfo=timezone.utc)  # google-auth's is naive and means UTC
        return bool(expiry.timestamp() - time.time() > _RENEW_BEFORE)

    def _default(self) -> Any:
        google = _google_auth()
        try:
            credentials, _ = google.auth.default(scopes=[_SCOPE], request=self._request)
        except google.auth.exceptions.GoogleAuthError as error:
            failure = AuthenticationError(
                f"no Google Cloud credentials: {str(error)[:200]}",
                guidance="Run 'gcloud auth application-default login', or set api_key_command.",
            )
        else:
            return credentials
        raise failure  # outside the except: what google-auth says may quote a reply, and would be printed along

    def _refresh(self) -> None:
        google = _google_auth()
        self._troubles.clear()
        failure: LLMConnectorError | None = None
        try:
            self._credentials.refresh(self._request)
        except google.auth.exceptions.TransportError as error:
            failure = self._troubles[-1] if self._troubles else _no_token(error)
        except google.auth.exceptions.GoogleAuthError as error:
            failure = _no_token(error)
        if failure is None and not self._credentials.token:
            failure = _no_token("the answer holds none")
        if failure is not None:
            raise failure

    def _request(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: Any = 30,
        **_: Any,
    ) -> _TokenReply:
        """google.auth.transport.Request's call, over our HTTP client."""
        content = body.encode() if isinstance(body, str) else body or b""
        seconds = float(timeout or 30)
        try:
            if method == "POST":
                reply = self._http.post(url, content, headers or {}, timeout=seconds)
            else:
                reply = self._http.get(url, headers or {}, timeout=seconds)
        except LLMConnectorError as error:
            self._troubles.append(error)
            # google-auth knows its own kind only: it goes on to the next place where credentials may be
            raise _google_auth().auth.exceptions.TransportError(error.message) from None
        return _TokenReply(reply.status, reply.headers, reply.content)


class _TokenReply:
    """google.auth.transport.Response."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


def _no_token(why: object) -> AuthenticationError:
    return AuthenticationError(
        f"Google Cloud gave no token: {str(why)[:200]}", guidance="Check the credentials: gcloud auth list."
    )


def _google_auth() -> Any:
    try:
        with import_lock:
            import google.auth
            import google.auth.exceptions
    except ImportError:
        raise ConfigurationError(
            "auth: google-cloud needs the package google-auth", guidance="Install it: pip install 'llm-sync[google]'."
        ) from None
    return google


def credential_for(config: ProviderConfig, dialect: Dialect, base_url: str, http: HTTP) -> Credential:
    """The credential of a provider entry: what it configures, else the dialect's usual variable, on its own host only."""
    auth = config.auth
    if auth == GOOGLE_CLOUD:
        if config.key is None:
            return GoogleCredential(http)
        auth = Auth("Authorization", "Bearer")
    if isinstance(auth, Auth):
        header = auth
        carry = lambda key: {header.header: header.value(key)}  # noqa: E731
    else:
        carry = lambda key: {dialect.key_header: dialect.key_prefix + key}  # noqa: E731
    names = {name.lower() for name in config.headers}
    if config.key is not None:
        return KeyCredential(config.key, carry)
    own = urlsplit(dialect.default_base_url or "").hostname
    if not dialect.key_variables or urlsplit(base_url).hostname != own or names & {dialect.key_header.lower(), "authorization"}:
        return NoCredential()
    variable = next((name for name in dialect.key_variables if os.environ.get(name)), dialect.key_variables[-1])
    return KeyCredential(Secret.from_variable(variable, provider=config.name), carry)
