"""Every form in which a provider says how long to wait, read from a real response."""

from __future__ import annotations

import pytest
from faults_table import DIALECTS  # type: ignore[import-not-found]

from llm_sync import LLMClient, RateLimitError
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator
from llm_sync.simulator.faults.retry_after import DEFAULT_FORMS, RETRY_AFTER_FORMS

# What the client makes of 20.25 s: at least that, in the precision of the form (dates and epochs lose what the way took).
READ = {
    "seconds": (20.25, 20.25),
    "date": (19, 22),
    "milliseconds": (20.25, 20.25),
    "durations": (20.25, 20.25),
    "reset_seconds": (21, 21),
    "reset_floats": (20.25, 20.25),
    "reset": (21, 21),
    "timestamps": (19, 22),
    "epoch_milliseconds": (15, 20.26),
    "retry_info": (21, 21),  # 20s is rounded down: a second is added
    "availability": (20.25, 20.25),
    "message": (20.25, 20.25),
    "by_size": (21, 21),
    "none": None,
}


def retry_after_read(dialect: str, **settings: object) -> float | None:
    """The ``retry_after`` that a client reads from a rate limit error."""
    with Simulator(script={"rules": [{"error": {"kind": "rate_limit", "retry_after": 20.25, **settings}}]}) as simulator:
        text = f"providers: {{p: {{type: {dialect}, api_key: k, base_url: '{simulator.url(dialect)}', models: [m]}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client, pytest.raises(RateLimitError) as caught:
            client.generate("x", "p/m", max_retries=0)
    return caught.value.retry_after


@pytest.mark.parametrize("form", RETRY_AFTER_FORMS)
def test_each_form(form: str) -> None:
    """Each form is read correctly, with alternating dialects."""
    dialect = list(DIALECTS)[list(RETRY_AFTER_FORMS).index(form) % len(DIALECTS)]
    found, wanted = retry_after_read(dialect, hint=form), READ[form]
    if wanted is None:
        assert found is None
    else:
        assert found is not None
        assert wanted[0] <= found <= wanted[1]


@pytest.mark.parametrize("dialect", [dialect for dialect, forms in DEFAULT_FORMS.items() if forms])
def test_the_usual_forms_of_each_dialect(dialect: str) -> None:
    """The usual forms of each dialect are read correctly."""
    found = retry_after_read(dialect)
    assert found is not None
    assert 15 <= found <= 22


def test_the_longest_of_several_counts() -> None:
    """Of several values the longest counts: Azure sends milliseconds of 0 beside seconds."""
    assert retry_after_read("openai", hint=["milliseconds", "date"]) >= 20.25
