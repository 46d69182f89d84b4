"""What tells a provider from others that share none of its limits, in any process, whatever a configuration calls it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.config.models import GOOGLE_CLOUD, Auth
from llm_sync.config.secrets import Secret
from llm_sync.errors import AuthenticationError

KEY = "sk-MARKER-0123456789"
HERE = "https://llm.example.com/v1"


@pytest.fixture
def identity(provider: Callable[..., Any]) -> Callable[..., str]:
    """``identity(kind, **config)``, with a key and an address where none are given."""

    def of(kind: str = "openai", **config: Any) -> str:
        return str(provider(kind, **{"key": Secret.literal(KEY), "base_url": HERE, **config}).identity())

    return of


def test_it_is_the_same_again(identity: Callable[..., str]) -> None:
    """A digest, of which nothing can be read."""
    assert identity() == identity()
    assert len(identity()) == 64
    assert KEY not in identity()


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "anthropic"},
        {"base_url": "https://llm.example.com/v2"},
        {"base_url": "http://llm.example.com/v1", "allow_insecure": True},
        {"key": Secret.literal(KEY + "2")},
        {"key": None},
        {"headers": {"X-Api-Key": "another"}},
        {"query": {"key": "another"}},
    ],
    ids=str,
)
def test_dialect_address_and_key_tell_apart(identity: Callable[..., str], other: dict[str, Any]) -> None:
    """Each alone."""
    assert identity(**other) != identity()


@pytest.mark.parametrize(
    "same",
    [
        {"base_url": HERE + "/"},
        {"base_url": "https://LLM.example.com/v1"},
        {"base_url": HERE + "/chat/completions"},
        {"headers": {"X-Team": "search"}},
        {"concurrency": 5},
        {"models": ()},
        {"auth": Auth("Authorization", "Bearer")},
    ],
    ids=str,
)
def test_nothing_else_does(identity: Callable[..., str], same: dict[str, Any]) -> None:
    """Nor how the address is written."""
    assert identity(**same) == identity()


def test_where_the_key_comes_from_does_not_matter(
    identity: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable in one configuration is the file in another."""
    monkeypatch.setenv("SOME_KEY", KEY)
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "key").chmod(0o600)
    assert identity(key=Secret.from_variable("SOME_KEY")) == identity()
    assert identity(key=Secret("file", str(tmp_path / "key"))) == identity()


def test_a_command_is_told_by_its_words(identity: Callable[..., str], tmp_path: Path) -> None:
    """It gives another token each time; processes that run the same one still meet."""
    count = tmp_path / "count"
    script = f"""import pathlib
path = pathlib.Path({str(count)!r})
path.write_text((path.read_text() if path.exists() else "") + "x")
print("token-" + path.read_text())"""
    command = Secret("command", (sys.executable, "-S", "-c", script))
    first = identity(key=command)
    command.refresh()
    assert identity(key=command) == first
    assert len(count.read_text()) == 2
    assert identity(key=Secret("command", (sys.executable, "-S", "-c", "print('token-x')"))) != first


def test_google_s_tokens_do_not_count(provider: Callable[..., Any]) -> None:
    """They are new ones every hour; the project stands in the address."""
    config = {"auth": GOOGLE_CLOUD, "location": "us-central1", "key": None, "base_url": None}
    one, same, other = (provider("gemini", project=project, **config).identity() for project in ("a", "a", "b"))
    assert one == same
    assert one != other


def test_a_key_that_is_not_there_is_told(identity: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is used."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(AuthenticationError, match="NO_SUCH_KEY"):
        identity(key=Secret.from_variable("NO_SUCH_KEY"))


def test_a_renewed_key_is_another(provider: Callable[..., Any], tmp_path: Path) -> None:
    """Read again after a 401: its limits are its own."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    made = provider("openai", key=Secret("file", str(path)), base_url=HERE)
    before = made.identity()
    path.write_text(KEY + "2")
    assert made.identity() == before
    credential = made.credential.get()
    assert credential.renew(credential.headers())
    after = made.identity()
    assert after != before
    assert after == hashlib.sha256("\0".join(["openai", HERE, Secret.literal(KEY + "2").identity()]).encode()).hexdigest()
