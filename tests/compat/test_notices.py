"""What the stand-ins write on standard error."""

from __future__ import annotations

import pytest

from llm_sync.compat.shim import notices


@pytest.mark.parametrize("separator", ["\x1b[2J", "\n", "\r", "\x85", "\u2028", "\u202e", "\x07", "\x9b31m"], ids=ascii)
def test_a_provider_s_words_stay_on_one_line(separator: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They cannot control the terminal, nor forge a second message."""
    notices.notify(f"blocked: no{separator}llm-sync: all is well")
    written = capsys.readouterr().err
    assert written == f"llm-sync: blocked: no{repr(separator)[1:-1]}llm-sync: all is well\n"
    assert len(written.splitlines()) == 1


def test_plain_words_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """In any language, quotes and backslashes included."""
    notices.notify('p/m: the answer was "cut" – schön, it\'s C:\\x 日本語 😀')
    assert capsys.readouterr().err == 'llm-sync: p/m: the answer was "cut" – schön, it\'s C:\\x 日本語 😀\n'
