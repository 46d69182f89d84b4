"""What proves to AWS who asks: an API key of Bedrock, access keys from the environment, or what botocore finds in profiles."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llm_sync.config.models import AWS
from llm_sync.config.secrets import Secret
from llm_sync.errors import AuthenticationError, ConfigurationError
from llm_sync.providers.bedrock.regions import is_aws
from llm_sync.providers.bedrock.sigv4 import AccessKeys, signed_headers
from llm_sync.providers.credentials import KeyCredential, NoCredential
from llm_sync.providers.ports import Credential
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.config.models import ProviderConfig

API_KEY = "AWS_BEARER_TOKEN_BEDROCK"
_KEY, _SECRET, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
# Variables that say where botocore finds credentials; without any, and without its files, none is looked for.
_SOURCES = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)
_FILES = (("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config"))
_REMEMBERED = 4  # keys: a late reply may still echo one that was renewed since


def credential_of(
    config: ProviderConfig, base_url: str, region: Callable[[], str], carry: Callable[[str], dict[str, str]]
) -> Credential:
    """The credential of an entry that names no key. ``region``: asked where requests are signed.
    ``carry``: the headers of an API key. Raises ConfigurationError as ``region`` does.

    ``profile`` and ``auth: aws`` come first, then the variables, then AWS's files. Credentials that the configuration does not
    name go to hosts of AWS only.
    """
    if config.auth != AWS and any(name.lower() == "authorization" for name in config.headers):
        return NoCredential()  # the configuration has its own
    if config.auth == AWS or config.profile:
        keys = EnvironmentKeys() if not config.profile and os.environ.get(_KEY) else ProfileKeys(config.profile, region())
        return SigningCredential(keys, region())
    if not is_aws(base_url):
        return NoCredential()
    if os.environ.get(API_KEY):
        return KeyCredential(Secret.from_variable(API_KEY, provider=config.name), carry)
    if os.environ.get(_KEY):
        return SigningCredential(EnvironmentKeys(), region())
    if any(os.environ.get(name) for name in _SOURCES) or any(_exists(*file) for file in _FILES):
        return SigningCredential(ProfileKeys(None, region()), region())
    return KeyCredential(Secret.from_variable(API_KEY, provider=config.name), carry)


def _exists(variable: str, usual: str) -> bool:
    return Path(os.environ.get(variable) or usual).expanduser().is_file()


class KeySource(Protocol):
    """Where access keys come from. ``name``: in words."""

    name: str

    def fresh(self, known: AccessKeys | None) -> bool:
        """Whether ``known`` can be used without asking again."""

    def read(self) -> AccessKeys:
        """The access keys now. Raises AuthenticationError and ConfigurationError."""

    def check(self) -> None:
        """Raise what ``read`` would certainly raise, without the network."""


class EnvironmentKeys:
    """The access keys in the environment."""

    name = _KEY

    def fresh(self, known: AccessKeys | None) -> bool:
        return known is not None

    def read(self) -> AccessKeys:
        key, secret, token = (os.environ.get(name, "").strip() for name in (_KEY, _SECRET, _TOKEN))
        for name, value in ((_KEY, key), (_SECRET, secret), (_TOKEN, token or "none")):
            if not value or not (value.isascii() and value.isprintable()) or " " in value:
                raise AuthenticationError(
                    f"the environment variable {name} {'is not set' if not value else 'cannot be an access key'}",
                    guidance=f"Set {_KEY} and {_SECRET} (and {_TOKEN} of temporary keys), or {API_KEY}.",
                )
        return AccessKeys(key, secret, token or None)

    def check(self) -> None:
        self.read()


class ProfileKeys:
    """The access keys of a profile, of single sign-on, of a role …, found and renewed by botocore."""

    def __init__(self, profile: str | None, region: str) -> None:
        self.name = f"AWS profile {profile}" if profile else "AWS's credential files"
        self._profile = profile
        self._region = region
        self._credentials: Any = None

    def fresh(self, known: AccessKeys | None) -> bool:
        refresh_needed = getattr(self._credentials, "refresh_needed", None)
        return known is not None and not (refresh_needed is not None and refresh_needed())

    def read(self) -> AccessKeys:
        botocore = _botocore()
        failure, found = None, None
        try:
            if self._credentials is None:
                self._credentials = self._session().get_credentials()
            found = self._credentials and self._credentials.get_frozen_credentials()
        except botocore.exceptions.BotoCoreError as error:
            failure = str(error)[:200]
        if failure is not None:  # outside the except: what botocore says may quote a reply, and would be printed along
            self._credentials = None
            raise AuthenticationError(f"{self.name}: {failure}", guidance="Try it with: aws sts get-caller-identity.")
        if found is None or not found.access_key or not found.secret_key:
            raise AuthenticationError(f"{self.name}: no credentials in it", guidance=f"Run 'aws configure', or set {API_KEY}.")
        return AccessKeys(found.access_key, found.secret_key, found.token)

    def forget(self) -> None:
        """Look everything up anew at the next ``read``."""
        self._credentials = None

    def check(self) -> None:
        botocore = _botocore()
        session = self._session()
        if self._profile and self._profile not in session.available_profiles:
            raise AuthenticationError(f"{self.name}: there is no such profile", guidance="See: aws configure list-profiles.")
        try:
            session.get_scoped_config()
        except botocore.exceptions.BotoCoreError as error:
            raise AuthenticationError(f"{self.name}: {str(error)[:200]}", guidance="Check AWS's files.") from None

    def _session(self) -> Any:
        session = _botocore().session.Session(profile=self._profile)
        session.set_config_variable("region", self._region)
        return session


class SigningCredential:
    """Access keys that sign each attempt, with its time, before it is sent."""

    def __init__(self, keys: KeySource, region: str) -> None:
        self.source: str | None = keys.name
        self._keys = keys
        self._region = region
        self._used: tuple[AccessKeys, ...] = ()  # the newest first; replaced whole, so it is read without the lock
        # Held by the one thread that gets keys. The others can only wait for it, so I/O under this lock is allowed.
        self._renewing = threading.Lock()

    @property
    def is_ready(self) -> bool:
        return self._keys.fresh(self._used[0] if self._used else None)

    def headers(self) -> dict[str, str]:
        """None yet: ``sign`` adds them, when everything else of the attempt is known. Gets keys, if need be."""
        if not self.is_ready:
            with self._renewing:
                if not self.is_ready:
                    self._remember(self._keys.read())
        return {"X-Amz-Security-Token": token} if (token := self._used[0].token) else {}

    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        """``headers`` of an attempt that is sent now, with its signature."""
        at = time.time()
        return signed_headers(method, url, headers, body, self._used[0], region=self._region, service="bedrock", at=at)

    def check(self) -> None:
        self._keys.check()

    def check_without_io(self) -> None:
        if not self._used and isinstance(self._keys, EnvironmentKeys):
            self._remember(self._keys.read())

    def identity(self) -> str:
        self.headers()
        text = f"aws\0{self._used[0].access_key}" if isinstance(self._keys, EnvironmentKeys) else f"aws\0{self._keys.name}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def secrets(self) -> tuple[str, ...]:
        return tuple(text for keys in self._used for text in (keys.secret_key, keys.token) if text)

    def renew(self, refused: Mapping[str, str]) -> bool:
        with self._renewing:
            before = self._used[0] if self._used else None
            if before is not None and before.token and before.token != refused.get("X-Amz-Security-Token"):
                return True
            if isinstance(self._keys, ProfileKeys):
                self._keys.forget()
            now = self._keys.read()
            if now == before:
                return False
            self._remember(now)
            return True

    def _remember(self, keys: AccessKeys) -> None:
        if keys not in self._used[:1]:
            self._used = (keys, *self._used)[:_REMEMBERED]


def _botocore() -> Any:
    try:
        with import_lock:
            import botocore
            import botocore.exceptions
            import botocore.session
    except ImportError:
        raise ConfigurationError(
            "credentials from AWS's profiles need the package botocore",
            guidance=f"Install it: pip install 'llm-sync[bedrock]'; or set {API_KEY}, or {_KEY} and {_SECRET}.",
        ) from None
    return botocore
