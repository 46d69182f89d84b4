"""Patterns are searched in linear time, with the meaning that they have in ``re``."""

from __future__ import annotations

import re
import threading
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_sync import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers.answer_file import load_answers
from llm_sync.validation.automaton import MAX_TEXT, TextTooLong
from llm_sync.validation.linear_regex import LinearPattern, UnsupportedPattern, compile_pattern

# A pattern that keeps re busy, and a text that does it: exponentially, or by a power of its length.
ENDLESS = [
    (r"(a+)+$", "a"),
    (r"^(a|a)*$", "a"),
    (r"^(\w+\s?)*$", "a"),
    (r"(.*)*x", "a"),
    (r"((a+)+)+$", "a"),
    (r"(a|aa)+$", "a"),
    (r"((ab)+)+$", "ab"),
    (r"(hello|hell|o)+$", "hello"),
    (r"(-+)+$", "-"),
    (r"\s*\s*\s*\s*x", " "),
    (r"(?=(a+)+$)b", "a"),
    (r"(?<!x)(a*)*c", "a"),
    (r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$", "a"),
]


@pytest.mark.parametrize(("pattern", "piece"), ENDLESS)
def test_no_text_takes_long(pattern: str, piece: str) -> None:
    """A hundred thousand characters, where ``re`` would not end within a lifetime, take less than the CPU time of a second."""
    compiled = LinearPattern(pattern)
    text = piece * (100_000 // len(piece)) + "\x00"
    begun = time.thread_time()
    assert not compiled.search(text)
    assert time.thread_time() - begun < 5


_PIECES = r"a b . \d \w \s [ab] [^a] [a-c1] ^ $ \b \B \A \Z - 1 \n (?i:A) (?s:.) (?m:^a) (?m:b$) [^\W] (?=a) (?!b) (?<=a) (?<!b)"
PIECES = st.sampled_from(_PIECES.split())
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}?", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.tuples(st.sampled_from(["(?=", "(?!"]), inner).map(lambda pair: f"{pair[0]}{pair[1]})"),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.text("abABc1 -\n_é", max_size=8))
def test_a_pattern_means_what_it_means_in_re(pattern: str, text: str) -> None:
    """Whatever is put together of literals, classes, anchors, groups, repeats and lookarounds."""
    try:
        expected = re.compile(pattern)
    except re.error:
        return
    assert LinearPattern(pattern).search(text) == (expected.search(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", ""),
        (r"(?i)straße", "STRASSE straße"),
        (r"(?i)[a-f]+$", "ABCDEF"),
        (r"(?i)[^a]b+", "AB"),
        (r"(?a)\w+$", "é"),
        (r"\w+$", "é"),
        (r"(?x) a + # letters", "aaa"),
        (r"^(?=.*\d)(?=.*[A-Z]).{8,}$", "Passw0rd1"),
        (r"^(?=.*\d)(?=.*[A-Z]).{8,}$", "password1"),
        (r"(?P<year>\d{4})-\d\d-\d\d", "on 2026-11-30"),
        (r"a{0}b", "b"),
        (r"$", "x\n"),
        (r"x$", "x\n"),
        (r"x\Z", "x\n"),
        (r"(?!)", "a"),
        (r"\bpoem\b", "a poem."),
        (r"[\d\-x]+", "12-x"),
        (r"(?<=^a)b+", "abb"),
    ],
)
def test_particular_constructs(pattern: str, text: str) -> None:
    """Flags, classes, anchors before a last line end, and empty matches are as ``re`` has them."""
    assert LinearPattern(pattern).search(text) == (re.search(pattern, text) is not None)


def test_a_compiled_pattern_keeps_its_flags() -> None:
    """As answers given in code have them."""
    assert LinearPattern(re.compile("a+B$", re.IGNORECASE | re.MULTILINE)).search("AAB\nx")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a+)\1", "has a backreference"),
        (r"(?P<x>a)(?P=x)", "has a backreference"),
        (r"(a)?(?(1)b|c)", "has a conditional group"),
        (r"(.{0,900}x){1,100}", "needs more than 25000 states for its repeats"),
        ("(", "is not a regular expression: missing )"),
        (r"\p{L}", r"is not a regular expression: bad escape \p"),
        ("a{99999999999}", "is not a regular expression: the repetition number is too large"),
    ],
)
def test_what_cannot_be_searched_is_refused(pattern: str, reason: str) -> None:
    """With the reason, and quickly."""
    with pytest.raises(UnsupportedPattern, match=re.escape(reason)):
        compile_pattern(pattern)


def test_a_text_that_is_too_long_is_refused() -> None:
    """By its length, and by the work of a large pattern; ``matches`` says no then."""
    random = Random(1)  # noqa: S311
    unordered = "".join(random.choice("ab") for _ in range(30_000))
    for pattern, text in (("a+b", "a" * (MAX_TEXT + 1)), (r"(a|b)*a(a|b){2000}c", unordered)):
        with pytest.raises(TextTooLong):
            LinearPattern(pattern).search(text)
        assert not LinearPattern(pattern).matches(text)


def test_threads_may_share_a_pattern() -> None:
    """What one thread has worked out another may use; the results are the same."""
    pattern = LinearPattern(r"^(\w+\s?)*(?=end)")
    texts = ["word " * n + ("end" if n % 2 else "-") for n in range(60)]
    results: list[list[bool]] = []
    threads = [threading.Thread(target=lambda: results.append([pattern.search(text) for text in texts])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [[n % 2 == 1 for n in range(60)]] * 8


@pytest.mark.parametrize(
    "options",
    [
        {"script": {"rules": [{"when": {"prompt": r"(a)\1"}, "error": "auth"}]}},
        {"answers": {re.compile(r"(a)\1"): "x"}},
    ],
    ids=["script", "answers"],
)
def test_the_simulator_refuses_such_patterns(options: dict[str, object]) -> None:
    """In scripts and in answers, with the reason."""
    with pytest.raises(ConfigurationError) as caught:
        Simulator(**options)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert "has a backreference" in str(problem)


def test_a_pattern_of_an_answer_file_does_not_hold_the_simulator_up() -> None:
    """A prompt that would keep ``re`` busy for ever is looked up, and gets the answer of the pattern that it matches."""
    answers = load_answers({re.compile("(a+)+$"): "x", re.compile("!$"): "y"})
    answer = answers.find("gpt-4o", [("user", "a" * 1000 + "!")])
    assert answer is not None
    assert answer.text == "y"
