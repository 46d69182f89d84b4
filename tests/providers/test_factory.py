"""From a type to its class: built-in, registered, or offered by an installed package."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.providers import ProviderFactory

BUILT_IN = ["anthropic", "gemini", "openai", "openai-responses", "openrouter"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_dialects(name: str) -> None:
    """Each is a provider class of that very type."""
    assert ProviderFactory.provider_class(name).type == name


def test_an_unknown_type_names_the_known_ones() -> None:
    """The error is a list of what there is."""
    with pytest.raises(ConfigurationError, match="'opnai' is unknown") as caught:
        ProviderFactory.provider_class("opnai")
    assert all(name in caught.value.guidance for name in BUILT_IN)


@pytest.mark.parametrize("bad", ["no_colon", ":Class", "module:", object(), int, object])
def test_what_cannot_be_registered(bad: Any) -> None:
    """Only dialects, providers of the former way, or where to find one."""
    with pytest.raises(ConfigurationError):
        ProviderFactory.register("x", bad)


def test_registered_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "module:Class" is imported when first asked for."""
    ProviderFactory.register("mine", "my_dialects:Mine")
    assert "mine" in ProviderFactory.types()
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        ProviderFactory.provider_class("mine")
    module = types.ModuleType("my_dialects")
    module.Mine = type("Mine", (ProviderFactory.provider_class("openai"),), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_dialects", module)
    assert ProviderFactory.provider_class("mine") is module.Mine


def test_a_name_for_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found there must be a dialect."""
    ProviderFactory.register("mine", "json:dumps")
    with pytest.raises(ConfigurationError, match="not a Dialect"):
        ProviderFactory.provider_class("mine")


def test_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package offers a type without being imported before."""
    point = importlib.metadata.EntryPoint(
        "offered", "llm_sync.providers.openai.chat_completions:OpenAIDialect", "llm_sync.providers"
    )
    asked: list[str] = []

    def entry_points(*, group: str) -> list[Any]:
        asked.append(group)
        return [point]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert ProviderFactory.types_for(["openai", "anthropic"])
    assert asked == []
    assert "offered" in ProviderFactory.types_for(["offered"])
    assert ProviderFactory.provider_class("offered").type == "openai"
    assert set(asked) == {"llm_sync.providers"}


def test_a_schema_made_anew_each_time(provider: Any, reply: Any) -> None:
    """A body is held against the schema that belongs to it, even where a dialect builds schemas as it goes."""
    made = provider("openai", reply())
    rules = {"type": "string", "required": True}
    for number in range(50):  # the dict of one round is freed before the next one is made, which often gets its id
        (field,) = made.reader._validator({f"field{number}": rules}).check({})
        assert field.path == f"field{number}"


FORKED_MEANWHILE = """
import os, signal, sys, threading, types
from llm_sync.providers.factory import ProviderFactory

sys.path.insert(0, sys.argv[1])
begun = sys.begun = threading.Event()
go_on = sys.go_on = threading.Event()
ProviderFactory.register("slow", "slow_dialect:Slow")
loading = threading.Thread(target=ProviderFactory.provider_class, args=("slow",))
loading.start()
begun.wait()
threading.Timer(0.2, go_on.set).start()
child = os.fork()
if child == 0:
    signal.alarm(10)
    os._exit(7 if ProviderFactory.dialect_class("slow").__name__ == "Slow" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
loading.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_waits_for_a_dialect_that_is_being_imported(tmp_path: Path) -> None:
    """The import system's lock on half a module belongs to a thread that the child does not have."""
    source = "import sys\nsys.begun.set()\nsys.go_on.wait()\nfrom llm_sync.providers import Dialect\n"
    (tmp_path / "slow_dialect.py").write_text(source + "class Slow(Dialect):\n    type = 'slow'\n")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_MEANWHILE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("7", 0), done.stderr
