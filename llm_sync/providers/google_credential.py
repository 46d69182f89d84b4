"""A Google Cloud token from google-auth's default credentials. Imported only where ``auth: google-cloud`` has no key."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

from llm_sync.config.models import GOOGLE_CLOUD
from llm_sync.errors import AuthenticationError, ConfigurationError, LLMConnectorError, ProviderConnectionError
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.models import Reply
    from llm_sync.providers.ports import HTTP

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_RENEW_BEFORE = 300.0  # seconds before a token expires; Google's tokens live an hour
_REMEMBERED = 4  # tokens: a late reply may still echo one that was renewed since


class GoogleCredential:
    """A Google Cloud token from google-auth's default credentials, over our own HTTP client; one renewal at a time."""

    source: str | None = "Google Cloud's application default credentials"
    sign = None

    def __init__(self, http: HTTP) -> None:
        self._http = http
        self._credentials: Any = None
        self._used: tuple[str, ...] = ()  # tokens, the newest first; replaced whole, so it is read without the lock
        self._errors: list[LLMConnectorError] = []  # the errors of the requests that google-auth made
        # Held by the one thread that fetches a token. The others can only wait for it, so I/O under this lock is allowed.
        self._renewing = threading.Lock()

    def headers(self) -> dict[str, str]:
        with self._renewing:
            if self._credentials is None:
                self._credentials = self._default()
            if not self._fresh():
                self._refresh()
            return self._carried()

    @property
    def is_ready(self) -> bool:
        return self._credentials is not None and not self._renewing.locked() and self._fresh()

    def check(self) -> None:
        _google_auth()

    def check_without_io(self) -> None:
        return None

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
        self._errors.clear()
        failure: LLMConnectorError | None = None
        try:
            self._credentials.refresh(self._request)
        except google.auth.exceptions.TransportError as error:
            failure = self._errors[-1] if self._errors else _no_token(error)
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

        def send() -> Reply:
            return self._http.request(method, url, content or None, headers or {}, timeout=seconds)

        try:
            try:
                reply = send()
            except ProviderConnectionError as error:
                if not error.stale_connection:
                    raise
                reply = send()  # asking for a token twice costs nothing
        except LLMConnectorError as error:
            error.possibly_billed = 0  # the request for a token was sent, not the one that costs
            self._errors.append(error)
            # google-auth catches only its own errors: then it tries the next source of credentials
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
