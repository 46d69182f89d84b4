"""Routes on the command line: -m NAME, -m A,B and --strict-route."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llm_sync.simulator import Simulator


@pytest.fixture
def routes(config: str) -> str:
    """A configuration with a route over two models."""
    with open(config, "a", encoding="utf-8") as file:
        file.write("routes: {smart: [first/m, first/n]}\n")
    return config


@pytest.mark.parametrize("name", ["smart", "first/m,first/n", "first/m,n"])
def test_the_next_model_answers(llm: Callable[..., Any], routes: str, script: Any, name: str) -> None:
    """The answer is printed as usual; one warning says who was asked instead, and why."""
    script.fail(503)
    script.fail(503)
    script.answer("from the second", model="n")
    ran = llm("generate", "--config", routes, "-m", name, "hello")
    assert (ran.status, ran.out) == (0, "from the second\n")
    assert "first/n is asked instead" in ran.err


def test_records_list_the_route(llm: Callable[..., Any], routes: str, script: Any) -> None:
    """The record names the first model, its response the one that answered, and ``route`` the way there."""
    script.fail(404, "no such model", code="model_not_found")
    record = json.loads(llm("generate", "--config", routes, "-m", "smart", "--json", "hello").out)
    assert (record["provider"], record["model"]) == ("first", "m")
    assert [(step["model"], step["error"]) for step in record["route"]] == [("m", "ModelNotFoundError"), ("n", None)]
    assert "route" not in record["response"]


def test_a_failed_route_as_a_record(llm: Callable[..., Any], routes: str, script: Any) -> None:
    """The error is the last one's, and decides the exit status."""
    script.fail(404, "no such model", code="model_not_found")
    script.fail(402, "no credit", model="n", code="insufficient_quota")
    ran = llm("generate", "--config", routes, "-m", "smart", "--json", "hello")
    record = json.loads(ran.out)
    assert (ran.status, record["error"]["type"], len(record["route"])) == (5, "QuotaExceededError", 2)


def test_strict_route_asks_the_first_only(llm: Callable[..., Any], routes: str, script: Any, provider: Simulator) -> None:
    """For a benchmark: whatever happens, no other model answers."""
    script.fail(404, "no such model", code="model_not_found")
    ran = llm("generate", "--config", routes, "-m", "smart", "--strict-route", "hello")
    assert ran.status == 7
    assert {request.model for request in provider.requests} == {"m"}


def test_headings_name_the_route_and_who_answered(llm: Callable[..., Any], routes: str, script: Any) -> None:
    """With several -m, the heading of a route says which of its models the answer is from."""
    script.fail(404, "no such model", code="model_not_found")
    ran = llm("generate", "--config", routes, "-m", "smart", "-m", "second/k", "hello")
    assert "== smart: first/n ==" in ran.out
    assert "== second/k ==" in ran.out


@pytest.mark.parametrize("name", [",", "first/m,", "first/m,first/m", "first/m,nonsense/x", "smart,first/m"])
def test_impossible_routes_are_refused(llm: Callable[..., Any], routes: str, name: str, provider: Simulator) -> None:
    """Nothing is sent, and the message says what to write."""
    ran = llm("generate", "--config", routes, "-m", name, "hello")
    assert ran.status in (2, 7)
    assert ran.err.startswith("llm-sync: ")
    assert not provider.requests
