"""Credentials that a request carries: a key in a header, or none. Google Cloud's tokens: google_credential.py."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_sync.config.models import GOOGLE_CLOUD, Auth
from llm_sync.config.secrets import Secret
from llm_sync.providers.ports import Credential, Sign
from llm_sync.providers.redaction import Redactor, secrets_in
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.dialect import Dialect
    from llm_sync.providers.ports import HTTP

_REMEMBERED = 4  # keys: a late reply may still echo one that was renewed since


class NoCredential:
    """Local servers ask for none."""

    source: str | None = None
    sign: Sign | None = None
    is_ready = True

    def headers(self) -> dict[str, str]:
        return {}

    def check(self) -> None:
        return None

    def check_without_io(self) -> None:
        return None

    def identity(self) -> str:
        return ""

    def secrets(self) -> tuple[str, ...]:
        return ()

    def renew(self, refused: Mapping[str, str]) -> bool:
        return False


class KeyCredential:
    """A key in one header. Read when first used; a key that a command gives, or a changed file, is read again after a 401."""

    sign: Sign | None = None

    def __init__(self, secret: Secret, carry: Callable[[str], dict[str, str]]) -> None:
        self.source: str | None = secret.source
        self._secret = secret
        self._carry = carry
        self._used: tuple[str, ...] = ()  # keys, the newest first; replaced whole, so it is read without the lock
        self._known = ("", "")  # a key and its identity
        # Held by the one thread that gets a key. The others can only wait for it, so I/O under this lock is allowed.
        self._renewing = threading.Lock()

    @property
    def is_ready(self) -> bool:
        return bool(self._used)

    def headers(self) -> dict[str, str]:
        if not self._used:
            with self._renewing:
                if not self._used:
                    self._used = (self._secret.reveal(),)
        return self._carry(self._used[0])

    def check(self) -> None:
        self.headers()

    def check_without_io(self) -> None:
        if not self._used and self._secret.kind in ("template", "literal"):
            # Without the lock: this runs in the caller's thread, and a signal handler that interrupts it may come here too.
            self._used = (self._secret.reveal(),)
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


def credential_for(dialect: Dialect, http: HTTP) -> Credential:
    """The credential of a provider: the configured key, else the dialect's usual variable, on the dialect's own host only."""
    config = dialect.config
    auth = config.auth
    if auth == GOOGLE_CLOUD:
        if config.key is None:
            with import_lock:  # few need it
                from llm_sync.providers.google_credential import GoogleCredential

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
    found = dialect.own_credential(carry)
    if found is not None:
        return found
    own = urlsplit(dialect.default_base_url or "").hostname
    if (
        not dialect.key_variables
        or urlsplit(dialect.base_url()).hostname != own
        or names & {dialect.key_header.lower(), "authorization"}
    ):
        return NoCredential()
    variable = next((name for name in dialect.key_variables if os.environ.get(name)), dialect.key_variables[-1])
    return KeyCredential(Secret.from_variable(variable, provider=config.name), carry)


class ProviderCredential:
    """The credential of one provider, made on first use, because it needs the base_url. Any thread may use it."""

    def __init__(self, dialect: Dialect, http: HTTP) -> None:
        self._dialect = dialect
        self._http = http
        self.made: Credential | None = None  # by the first get()

    def get(self) -> Credential:
        """The credential. Raises ConfigurationError without a base_url."""
        made = self.made
        if made is None:
            made = self.made = credential_for(self._dialect, self._http)
        return made

    @property
    def source(self) -> str | None:
        """Where the key comes from, in words; None before the first use, and if there is none."""
        return self.made.source if self.made else None

    def redactor(self) -> Redactor:
        """A Redactor for the keys used so far and the other secrets of the configuration."""
        used = self.made.secrets() if self.made else ()
        return Redactor([*used, *secrets_in(self._dialect.config, self._dialect.base_url())])

    def reset_after_fork(self) -> None:
        """In a forked child: drop it, because a thread of the parent may hold its lock."""
        self.made = None
