"""A JSON document as input, as json.dump and jq write it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from batch_apparatus import Batch, Stub

from llm_sync.errors import InvalidRequestError

REQUESTS = [{"prompt": "a", "model": "a/m"}, {"prompt": "]},{ \u2028", "model": "a/m", "stop_sequences": ["x", "y"]}]


@pytest.mark.parametrize("indent", [None, 0, 1])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n \n"])
def test_an_array_is_a_list_of_requests(stub: Batch, indent: int | None, mark: str) -> None:
    """However it is printed; run again, it sends nothing."""
    stub.input.write_text(mark + json.dumps(REQUESTS, indent=indent) + "\n", "utf-8")
    stub.run()
    assert Stub.asked == ["a", "]},{ \u2028"]
    assert stub.run().sent == 0


def test_prompts_in_an_array_are_requests(stub: Batch) -> None:
    """As they are in an iterable."""
    stub.input.write_text('["a", "b"]')
    stub.run(models=["a/m"])
    assert Stub.asked == ["a", "b"]


@pytest.mark.parametrize("count", [1, 2])
def test_objects_over_several_lines_are_requests(stub: Batch, count: int) -> None:
    """One, or several one after another."""
    stub.input.write_text("\n".join(json.dumps(each, indent=2) for each in REQUESTS[:count]))
    stub.run()
    assert Stub.asked == ["a", "]},{ \u2028"][:count]


def test_a_long_document_is_read_in_pieces(stub: Batch) -> None:
    """Values, strings and numbers that lie across the pieces are whole."""
    requests = [{"prompt": "x" * 997 + f" é{number}", "model": "a/m", "seed": 10**6 + number} for number in range(300)]
    requests.append({"prompt": "y" * 300_000, "model": "a/m"})
    stub.input.write_text(json.dumps(requests, indent=1, ensure_ascii=False), "utf-8")
    stub.run()
    assert sorted(Stub.asked) == sorted(str(each["prompt"]) for each in requests)


def test_an_empty_array_is_an_empty_input(stub: Batch) -> None:
    """Nothing is asked."""
    stub.input.write_text("[]\n")
    assert stub.run().requests == 0


def test_a_bad_request_of_a_document_is_reported_by_its_number(stub: Batch) -> None:
    """Lines say little where a request has several, or all share one."""
    stub.input.write_text(json.dumps([REQUESTS[0], {"promt": "b"}, 3], indent=1))
    with pytest.raises(InvalidRequestError, match="2 requests of .* cannot be sent") as caught:
        stub.run()
    assert "request 2: the field 'promt'" in str(caught.value)
    assert "request 3: it is a int" in str(caught.value).replace("an int", "a int")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[\n{"prompt": "a"},\n{"prompt": }\n]', "mistake in line 3"),
        ('[\n{"prompt": "a"}\n', "the array has no end"),
        ('{"prompt": "a"', "not JSON"),
        ('{\n"prompt": }', "not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_document_is_refused_without_the_advice_to_send_it_as_text(stub: Batch, text: str, reason: str) -> None:
    """Which would send each brace as a prompt, and pay for it."""
    stub.input.write_text(text)
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        stub.run()
    assert "Are they plain prompts" not in str(caught.value)
    assert Stub.asked == []


class Integral:
    """A whole number that is no int, as numpy's."""

    def __int__(self) -> int:
        return 7


def test_numbers_of_other_libraries_are_numbers(stub: Batch) -> None:
    """In the requests of an iterable."""
    import numbers

    numbers.Integral.register(Integral)
    values: Any = Integral()
    stub.run(requests=[{"id": values, "prompt": "a", "model": "a/m", "max_tokens": values}])
    assert [record["id"] for record in stub.records()] == [7]
