"""What is refused as a key at sight, and what passes."""

from __future__ import annotations

import pytest

from llm_sync.config.secrets import key_problem

MARKER = "sk-MARKER-0123456789"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "is empty"),
        (" ", "holds a blank"),
        (f" {MARKER}", "holds a blank"),
        (f"{MARKER}\n", "holds a line end"),
        (f"{MARKER}\r", "holds a line end"),
        (f"{MARKER}\t", "control character"),
        (f"{MARKER}\x7f", "control character"),
        (f"{MARKER}\u00a0", "not ASCII"),
        (f"{MARKER}\u2026", "not ASCII"),
        (f"\u201c{MARKER}\u201d", "not ASCII"),
        (f'"{MARKER}"', "quotation mark"),
        (f"'{MARKER}'", "quotation mark"),
        ("${OPENAI_API_KEY}", "unresolved"),
        ("sk-${X}", "unresolved"),
        *[
            (placeholder, "placeholder")
            for placeholder in (
                "sk-...",
                "...",
                "sk-ant-...abc",
                "your-key-here",
                "YOUR_API_KEY",
                "your_openai_api_key",
                "your-api-key-goes-here",
                "sk-your-key",
                "changeme",
                "change-me",
                "xxx",
                "XXXXXXXX",
                "sk-xxxx-xxxx",
                "sk-proj-xxxxxxxx",
                "<your key>".replace(" ", "-"),
                "<KEY>",
                "{key}",
                "[key]",
                "insert-your-key-here",
                "placeholder",
                "sk-****",
                "api-key",
                "key-here",
                "TODO",
            )
        ],
    ],
)
def test_impossible_keys_are_refused_before_they_are_sent(key: str, reason: str) -> None:
    """And the reason does not repeat the key."""
    reported = key_problem(key)
    assert reported is not None
    assert reason in reported
    assert "MARKER" not in reported


@pytest.mark.parametrize(
    "key",
    [
        MARKER,
        "sk-proj-abcXXXdef",
        "none",
        "EMPTY",
        "ollama",
        "lm-studio",
        "not-needed",
        "test",
        "my-own-servers-key",
        "x",
        "AIzaSyD-xxx_9",
        "ya29.a0Af_by+C/==",
        "key:with;every!sign,#%&()*@~|",
        "a" * 4000,
    ],
)
def test_possible_keys_pass(key: str) -> None:
    """Local servers take any word; tokens have dots, slashes and equal signs."""
    assert key_problem(key) is None


@pytest.mark.parametrize(
    "text",
    [
        "x-" * 39 + "!",
        "your" + "-a" * 37 + "!",
        "put" + "key" * 25 + "!",
        "x" * 79 + "!",
        "a_" * 39 + "!",
        "your-" * 20_000 + "!",
    ],
)
def test_placeholders_are_judged_quickly(text: str) -> None:
    """No text makes the pattern backtrack without end."""
    assert key_problem(text) is None
