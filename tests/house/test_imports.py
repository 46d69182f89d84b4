"""What importing llm_sync costs and touches, and what no module of it may import."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import llm_sync

PACKAGE = Path(llm_sync.__file__).parent

# Notes what the interpreter does from the import on; what the probe needs for itself is loaded before.
WATCH = """
import _thread, json, sys, threading

heard, listening = [], True

def hear(event, arguments):
    if listening and event.partition(".")[0] in ("open", "socket", "subprocess", "os", "_thread"):
        heard.append([event, str(arguments[0]) if arguments else ""])

def told(start):
    def starting(*arguments, **options):
        hear("_thread.start", arguments)
        return start(*arguments, **options)
    return starting

# Python 3.10 and 3.11 raise no audit event when a thread starts
for place, name in (_thread, "start_new_thread"), (threading, "_start_new_thread"), (threading, "_start_joinable_thread"):
    if hasattr(place, name):
        setattr(place, name, told(getattr(place, name)))

before = set(sys.modules)
sys.addaudithook(hear)
import llm_sync
listening = False
print(json.dumps({"events": heard, "modules": sorted(set(sys.modules) - before), "threads": threading.active_count()}))
"""


def run(code: str) -> str:
    """What a fresh interpreter prints; it sees the same llm_sync as this one, and nothing that only measures tests.

    -B: it writes no bytecode, which would count as opening files.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_", "PYTHON"))}
    environ["PYTHONPATH"] = str(PACKAGE.parent)
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], env=environ, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    """What the interpreter reported while it imported llm_sync."""
    return json.loads(run(WATCH))


@pytest.mark.parametrize(
    "costly", ["asyncio", "requests", "urllib3", "tenacity", "cerberus", "yaml", "jsonschema", "http.client", "logging"]
)
def test_importing_loads_nothing_costly(watched: dict[str, Any], costly: str) -> None:
    """A script that only might ask pays nothing for the import: what is costly comes with the first use."""
    assert costly not in watched["modules"]


def test_importing_loads_one_module_of_the_package(watched: dict[str, Any]) -> None:
    """The public names are imported on first use, so that importing the package loads its front page alone."""
    assert [name for name in watched["modules"] if name.partition(".")[0] == "llm_sync"] == ["llm_sync"]


def test_importing_starts_no_thread_and_no_process(watched: dict[str, Any]) -> None:
    """A program may fork after the import: nothing runs yet."""
    starters = ("_thread.start", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system")
    assert [event for event, _ in watched["events"] if event.startswith(starters)] == []
    assert watched["threads"] == 1


def test_importing_opens_no_socket(watched: dict[str, Any]) -> None:
    """No name is looked up and nothing is connected before somebody asks."""
    assert [event for event, _ in watched["events"] if event.startswith("socket.")] == []


def test_importing_reads_no_file_but_modules(watched: dict[str, Any]) -> None:
    """No configuration, no metadata, no certificate is read: only the package's and the standard library's modules."""
    opened = [Path(path) for event, path in watched["events"] if event == "open"]
    assert [path for path in opened if path.suffix not in (".py", ".pyc")] == []
    assert any(PACKAGE in path.parents for path in opened)  # the watch does see what is opened


def test_the_watch_hears_what_it_listens_for() -> None:
    """The tests above could not fail if the audit hook missed threads, sockets and files."""
    deeds = "import llm_sync, socket, threading; socket.socket().close(); t = threading.Thread(); t.start(); t.join()"
    deeds += "; open(llm_sync.__path__[0] + '/py.typed').close()"
    heard = json.loads(run(WATCH.replace("import llm_sync\n", f"import socket\n{deeds}\n", 1)))
    events = {event for event, _ in heard["events"]}
    assert "socket.__new__" in events
    assert any(event.startswith("_thread.start") for event in events)
    assert any(event == "open" and path.endswith("py.typed") for event, path in heard["events"])


def test_help_and_version_load_no_dependency() -> None:
    """The command line answers what needs no provider without paying for the parts that talk to one."""
    ask = "import sys; from llm_sync.cli.main import main\ntry: main([{!r}])\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    for flag in ("--help", "--version"):
        loaded = ast.literal_eval(run(ask.format(flag)).splitlines()[-1])
        assert "llm_sync" in loaded
        assert {"asyncio", "requests", "urllib3", "tenacity", "cerberus", "yaml", "jsonschema", "platformdirs"}.isdisjoint(loaded)


def asynchronous(node: ast.AST) -> bool:
    """Whether it imports an event loop or an asynchronous client, or defines or awaits a coroutine."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
    return isinstance(node, (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)) or not {
        name.partition(".")[0] for name in names
    }.isdisjoint({"asyncio", "aiohttp", "httpx", "anyio", "trio"})


def test_no_module_is_asynchronous() -> None:
    """No module imports an event loop or an asynchronous client, or defines or awaits a coroutine."""
    paths = sorted(PACKAGE.rglob("*.py"))
    assert paths
    nodes = [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_bytes())) if asynchronous(node)]
    assert [f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}" for path, node in nodes] == []


def test_dir_shows_the_public_names_before_they_are_loaded() -> None:
    """Completion in a shell or notebook offers what has not been imported yet."""
    assert set(llm_sync.__all__) <= set(ast.literal_eval(run("import llm_sync; print(dir(llm_sync))")))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as on any module, naming itself."""
    with pytest.raises(AttributeError, match="'genrate'"):
        getattr(llm_sync, "genrate")  # noqa: B009  (a type checker would rightly refuse llm_sync.genrate)
