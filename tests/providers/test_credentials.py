"""Keys from variables, files and commands, Google's tokens, and their renewal: once, and by one thread."""

from __future__ import annotations

import json
import logging
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import GOOGLE_CLOUD
from llm_sync.config.secrets import Secret
from llm_sync.models import ModelRequest

ANSWER = {"choices": [{"message": {"content": "Hi"}}], "candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}
REFUSED = {"error": {"message": "expired", "code": 401}}
PING = ModelRequest("x", "m")


@pytest.fixture
def door(reply: Callable[..., Any]) -> Callable[..., Any]:
    """``door(good tokens)``: an endpoint that lets these in and refuses all others."""

    def opening(*good: str) -> Callable[[Any], Any]:
        return lambda sent: (
            reply(ANSWER) if sent.headers["Authorization"].removeprefix("Bearer ") in good else reply(REFUSED, 401)
        )

    return opening


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Secret]:
    """``command()``: a Secret whose program prints token-1, token-2 … and the count of its runs."""
    script = tmp_path / "token.py"
    script.write_text(
        "import pathlib\n"
        "place = pathlib.Path(__file__).with_name('runs')\n"
        "runs = len(place.read_text()) + 1 if place.exists() else 1\n"
        "place.write_text('x' * runs)\n"
        "print(f'token-{runs}')\n",
        encoding="utf-8",
    )
    return lambda: Secret("command", (sys.executable, "-S", str(script)))


def runs(tmp_path: Path) -> int:
    """How often the program ran."""
    place = tmp_path / "runs"
    return len(place.read_text(encoding="utf-8")) if place.exists() else 0


def sent_keys(made: Any) -> list[str]:
    """The tokens that were sent, in order."""
    return [sent.headers["Authorization"].removeprefix("Bearer ") for sent in made.web.sent]


# Keys --------------------------------------------------------------------------------------------------------------------


def test_a_key_from_a_variable(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when the provider is first used, not before."""
    made = provider("openai", reply(ANSWER), key=Secret.from_variable("SOME_KEY"))
    monkeypatch.setenv("SOME_KEY", "from-the-variable")
    made.generate_response(PING)
    assert sent_keys(made) == ["from-the-variable"]


def test_a_key_from_a_file(provider: Any, reply: Any, tmp_path: Path) -> None:
    """Without its line end."""
    file = tmp_path / "key"
    file.write_text("from-the-file\n", encoding="utf-8")
    file.chmod(0o600)
    made = provider("openai", reply(ANSWER), key=Secret("file", str(file)))
    made.generate_response(PING)
    assert sent_keys(made) == ["from-the-file"]


def test_a_changed_file_is_read_after_a_401(provider: Any, door: Any, tmp_path: Path) -> None:
    """A rotated key is taken without a restart; an unchanged one is not tried twice."""
    file = tmp_path / "key"
    file.write_text("old-key", encoding="utf-8")
    file.chmod(0o600)
    made = provider("openai", door("new-key"), key=Secret("file", str(file)))
    with pytest.raises(errors.AuthenticationError, match="expired"):
        made.generate_response(PING)
    assert sent_keys(made) == ["old-key"]
    file.write_text("new-key", encoding="utf-8")
    assert made.generate_response(PING).text == "Hi"
    assert sent_keys(made) == ["old-key", "old-key", "new-key"]


def test_a_command_runs_once(provider: Any, reply: Any, command: Any, tmp_path: Path) -> None:
    """However many requests there are."""
    made = provider("openai", reply(ANSWER), key=command())
    for _ in range(3):
        made.generate_response(PING)
    assert sent_keys(made) == ["token-1"] * 3
    assert runs(tmp_path) == 1


def test_an_expired_token_is_renewed_once_and_the_request_sent_again(
    provider: Any, door: Any, command: Any, tmp_path: Path
) -> None:
    """Within the one attempt, and the new token is kept."""
    made = provider("openai", door("token-2"), key=command())
    response = made.generate_response(PING)
    assert (response.text, response.attempts) == ("Hi", 1)
    made.generate_response(PING)
    assert sent_keys(made) == ["token-1", "token-2", "token-2"]
    assert runs(tmp_path) == 2
    assert made.web.sent[1].timeout <= 10


def test_a_refused_new_token_is_not_renewed_again(provider: Any, door: Any, command: Any, tmp_path: Path) -> None:
    """Two 401s are an authentication error."""
    made = provider("openai", door(), key=command())
    with pytest.raises(errors.AuthenticationError, match="expired") as caught:
        made.generate_response(PING)
    assert sent_keys(made) == ["token-1", "token-2"]
    assert caught.value.status == 401
    assert runs(tmp_path) == 2


def test_a_listing_renews_too(provider: Any, reply: Any, command: Any) -> None:
    """Listings are requests like any other."""
    made = provider("openai", reply(REFUSED, 401), reply({"data": [{"id": "a"}]}), key=command())
    assert made.list_models() == ["a"]
    assert sent_keys(made) == ["token-1", "token-2"]


def test_a_literal_key_is_not_tried_twice(provider: Any, door: Any) -> None:
    """It cannot have changed."""
    made = provider("openai", door(), key=Secret.literal("literal-key"))
    with pytest.raises(errors.AuthenticationError):
        made.generate_response(PING)
    assert sent_keys(made) == ["literal-key"]


@pytest.mark.parametrize("status", [403, 400, 500])
def test_only_a_401_renews(provider: Any, reply: Any, command: Any, tmp_path: Path, status: int) -> None:
    """Other failures have other reasons."""
    with pytest.raises(errors.ProviderError):
        provider("openai", reply(REFUSED, status), key=command()).generate_response(PING)
    assert runs(tmp_path) == 1


def test_a_failing_command(provider: Any, reply: Any) -> None:
    """The command is named, nothing is sent."""
    made = provider("openai", reply(ANSWER), key=Secret("command", (sys.executable, "-c", "raise SystemExit(3)")))
    with pytest.raises(errors.AuthenticationError, match="ended with status 3") as caught:
        made.generate_response(PING)
    assert (caught.value.provider, caught.value.status) == ("p", None)
    assert made.web.sent == []


def test_two_workers_renew_once(provider: Any, reply: Any, command: Any, tmp_path: Path) -> None:
    """Both are refused with the old token, one renews it, the other goes on with what the first got."""
    both_refused = threading.Barrier(2, timeout=20)

    def endpoint(sent: Any) -> Any:
        if sent.headers["Authorization"] == "Bearer token-2":
            return reply(ANSWER)
        both_refused.wait()
        return reply(REFUSED, 401)

    made = provider("openai", endpoint, key=command())
    made.check()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(made.generate_response, [PING, PING]))
    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert sorted(sent_keys(made)) == ["token-1", "token-1", "token-2", "token-2"]
    assert runs(tmp_path) == 2


def test_a_late_reply_that_echoes_the_former_key(provider: Any, reply: Any, command: Any) -> None:
    """A key that was renewed meanwhile is as secret as its successor."""
    made = provider(
        "openai",
        reply(REFUSED, 401),
        lambda sent: reply({"error": {"message": "not token-1 nor token-2 long"}}, 400),
        key=command(),
    )
    made.check()
    made.credential.get()._used = ("token-1-long-enough",)
    made.web.replies[1] = reply({"error": {"message": "neither token-1-long-enough nor that"}}, 400)
    with pytest.raises(errors.InvalidRequestError) as caught:
        made.generate_response(PING)
    assert caught.value.message == "neither [key] nor that"


def test_a_child_process_starts_anew(provider: Any, reply: Any, command: Any) -> None:
    """After a fork nobody waits for a lock that a thread of the parent held."""
    made = provider("openai", reply(ANSWER), key=command())
    made.check()
    made.credential.get()._renewing.acquire()  # as by a thread of the parent, at the moment of the fork
    made.reset_after_fork()
    assert made.generate_response(PING).text == "Hi"


# Google Cloud ------------------------------------------------------------------------------------------------------------


class FakeCredentials:
    """google.auth's credentials: each refresh asks the token server for the next token."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None
        self.quota_project_id: str | None = None
        self.lifetime = timedelta(hours=1)
        self.refreshed = 0
        self.failure: Exception | None = None
        self.answer: Any = None

    def refresh(self, request: Callable[..., Any]) -> None:
        if self.failure is not None:
            raise self.failure
        self.answer = request("https://oauth2.example/token", method="POST", body=b"grant", headers={"x": "y"}, timeout=20)
        self.refreshed += 1
        self.token = f"ya29.token-{self.refreshed}"
        self.expiry = datetime.now(timezone.utc).replace(tzinfo=None) + self.lifetime  # naive, as google-auth has it


class Google:
    """The fake package and its one set of credentials."""

    def __init__(self) -> None:
        self.credentials = FakeCredentials()
        self.scopes: Any = None
        self.missing = False
        auth, exceptions = types.ModuleType("google.auth"), types.ModuleType("google.auth.exceptions")
        base = type("GoogleAuthError", (Exception,), {})
        self.no_credentials: Any = type("DefaultCredentialsError", (base,), {})
        self.refresh_error: Any = type("RefreshError", (base,), {})
        exceptions.GoogleAuthError = base  # type: ignore[attr-defined]
        exceptions.TransportError = type("TransportError", (base,), {})  # type: ignore[attr-defined]
        auth.exceptions, auth.default = exceptions, self.default  # type: ignore[attr-defined]
        package = types.ModuleType("google")
        package.auth = auth  # type: ignore[attr-defined]
        self.modules = {"google": package, "google.auth": auth, "google.auth.exceptions": exceptions}

    def default(self, scopes: Any = None, request: Any = None) -> tuple[FakeCredentials, str]:
        self.scopes = scopes
        if self.missing:
            raise self.no_credentials("found none")
        return self.credentials, "project"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Google:
    """google.auth, faked in sys.modules."""
    fake = Google()
    for name, module in fake.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return fake


@pytest.fixture
def vertex(provider: Any, reply: Any) -> Callable[..., Any]:
    """``vertex(endpoint)``: Gemini on Google Cloud with default credentials; its token server always answers."""

    def making(endpoint: Any = None) -> Any:
        def both(sent: Any) -> Any:
            if sent.url.startswith("https://oauth2.example"):
                return reply({"access_token": "unused"})
            return endpoint(sent) if endpoint else reply(ANSWER)

        return provider("gemini", both, key=None, base_url=None, auth=GOOGLE_CLOUD, project="proj", location="global")

    return making


def bearer(made: Any) -> list[str]:
    """The tokens sent to the endpoint itself."""
    return [sent.headers["Authorization"] for sent in made.web.sent if "aiplatform" in sent.url]


def test_google_cloud_asks_over_our_own_client(google: Google, vertex: Any) -> None:
    """The token is fetched through the provider's HTTP client and sent as a bearer token, nothing else."""
    made = vertex()
    assert made.generate_response(PING).text == "Hi"
    token, answer = made.web.sent
    assert (token.verb, token.url, token.body, token.headers, token.timeout) == (
        "POST",
        "https://oauth2.example/token",
        b"grant",
        {"x": "y"},
        20,
    )
    assert google.scopes == ["https://www.googleapis.com/auth/cloud-platform"]
    assert (google.credentials.answer.status, json.loads(google.credentials.answer.data)) == (200, {"access_token": "unused"})
    assert answer.headers["Authorization"] == "Bearer ya29.token-1"
    assert "x-goog-user-project" not in answer.headers
    assert "x-goog-api-key" not in answer.headers


def test_a_quota_project_is_sent(google: Google, vertex: Any) -> None:
    """Where the credentials have one."""
    google.credentials.quota_project_id = "billed"
    made = vertex()
    made.generate_response(PING)
    assert made.web.sent[-1].headers["x-goog-user-project"] == "billed"


def test_a_token_is_kept_until_shortly_before_it_expires(google: Google, vertex: Any) -> None:
    """Renewed when less than five minutes are left, not before."""
    made = vertex()
    made.generate_response(PING)
    made.generate_response(PING)
    assert google.credentials.refreshed == 1
    google.credentials.expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(seconds=200)
    made.generate_response(PING)
    assert bearer(made) == ["Bearer ya29.token-1"] * 2 + ["Bearer ya29.token-2"]


def test_a_refused_token_is_renewed_once(google: Google, vertex: Any, reply: Any) -> None:
    """On a 401, whatever its expiry says; and not a second time."""
    made = vertex(lambda sent: reply(ANSWER) if sent.headers["Authorization"].endswith("2") else reply(REFUSED, 401))
    assert made.generate_response(PING).text == "Hi"
    assert google.credentials.refreshed == 2
    made = vertex(lambda sent: reply(REFUSED, 401))
    with pytest.raises(errors.AuthenticationError, match="expired"):
        made.generate_response(PING)
    assert len(bearer(made)) == 2


def test_two_workers_renew_googles_token_once(google: Google, vertex: Any, reply: Any) -> None:
    """One refresh at a time, and none for a token that is already another."""
    both_refused = threading.Barrier(2, timeout=20)

    def endpoint(sent: Any) -> Any:
        if sent.headers["Authorization"].endswith("-2"):
            return reply(ANSWER)
        both_refused.wait()
        return reply(REFUSED, 401)

    made = vertex(endpoint)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(made.generate_response, [PING, PING]))
    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert google.credentials.refreshed == 2


def test_no_credentials(google: Google, vertex: Any) -> None:
    """The command that makes them is named."""
    google.missing = True
    with pytest.raises(errors.AuthenticationError, match="found none") as caught:
        vertex().generate_response(PING)
    assert "gcloud auth application-default login" in caught.value.guidance
    assert caught.value.__context__ is None


def test_a_refused_refresh(google: Google, vertex: Any) -> None:
    """It is an authentication error."""
    google.credentials.failure = google.refresh_error("invalid_grant")
    with pytest.raises(errors.AuthenticationError, match="invalid_grant") as caught:
        vertex().generate_response(PING)
    assert caught.value.__context__ is None


def test_a_refresh_without_a_token(google: Google, vertex: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request goes out with 'Bearer None'."""
    monkeypatch.setattr(google.credentials, "refresh", lambda request: None)
    made = vertex()
    with pytest.raises(errors.AuthenticationError, match="no token"):
        made.generate_response(PING)
    assert made.web.sent == []


def test_a_token_server_out_of_reach(google: Google, provider: Any) -> None:
    """google-auth hears of it as it expects to; the caller gets the trouble itself, which may be retried."""
    trouble = errors.ProviderConnectionError("no route", guidance="check")
    made = provider("gemini", trouble, key=None, base_url=None, auth=GOOGLE_CLOUD, project="proj")
    heard: list[BaseException] = []
    refresh = google.credentials.refresh

    def listening(request: Any) -> None:
        try:
            refresh(request)
        except Exception as error:
            heard.append(error)
            raise

    google.credentials.refresh = listening  # type: ignore[method-assign]
    with pytest.raises(errors.ProviderConnectionError) as caught:
        made.generate_response(PING)
    assert caught.value is trouble
    assert type(heard[0]).__name__ == "TransportError"


def test_a_token_request_on_a_stale_connection_is_sent_again(google: Google, provider: Any) -> None:
    """It costs nothing."""
    stale = errors.ProviderConnectionError("closed", stale_connection=True, possibly_billed=1)
    made = provider(
        "gemini", stale, errors.ProviderConnectionError("no route"), key=None, base_url=None, auth=GOOGLE_CLOUD, project="proj"
    )
    with pytest.raises(errors.ProviderConnectionError, match="no route"):
        made.generate_response(PING)
    assert len(made.web.sent) == 2


def test_a_failed_token_request_is_not_billed(google: Google, provider: Any) -> None:
    """It was sent, but the request that costs was not."""
    broken = errors.ProviderConnectionError("closed", possibly_billed=1)
    made = provider("gemini", broken, key=None, base_url=None, auth=GOOGLE_CLOUD, project="proj")
    with pytest.raises(errors.ProviderConnectionError) as caught:
        made.generate_response(PING)
    assert caught.value.possibly_billed == 0


def test_without_google_auth(vertex: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named."""
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(errors.ConfigurationError, match="google-auth") as caught:
        vertex().check()
    assert "llm-sync[google]" in caught.value.guidance


def test_google_tokens_are_scrubbed(google: Google, vertex: Any, reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A token that is echoed is not shown."""
    made = vertex(lambda sent: reply({"error": {"message": f"bad {sent.headers['Authorization']}"}}, 400))
    with caplog.at_level(logging.DEBUG), pytest.raises(errors.InvalidRequestError) as caught:
        made.generate_response(PING)
    assert "ya29" not in f"{caught.value} {caplog.text}"
