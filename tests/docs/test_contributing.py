"""CONTRIBUTING.md: its table of places, its list of rooms and its commands are those of the checkout."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SECTIONS = {name: text for name, _, text in (part.partition("\n") for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:])}
# Every topic of the table, with the field's own word for it. A search for that word among the file names must find the place.
WORDS = {
    "a model name routed to a provider": "routing",
    "the next model of a route asked": "routes",
    "a provider passed over while it keeps failing": "breaker",
    "spans and metrics for OpenTelemetry": "otel",
    "the list of fields a request has": "requests",
    "a request completed with configured defaults": "defaults",
    "a streaming switch removed": "streaming",
    "a function described to a model, its arguments read": "tool",
    "the loop that calls tools": "loop",
    "an image read": "images",
    "the embeddings of texts asked for": "embedding",
    "the number of texts in one request limited": "limits",
    "vectors decoded and matched to their texts": "vectors",
    "the division of a request that is refused for one of its texts": "division",
    "a file of texts embedded, resumably": "runner",
    "what makes two requests equal for the cache": "key",
    "a stored answer found, or its request asked once": "answers",
    "a conversation taken up by one process at a time": "conversation",
    "a request queued": "queue",
    "the loop of a worker thread": "worker",
    "many requests in flight in one thread": "multiplexing",
    "the turns of workers that have many requests in flight": "turns",
    "sockets and timers waited for at once": "event_loop",
    "the end of a response found": "framing",
    "queued work finished when Python exits": "shutdown",
    "state made anew after a fork": "fork",
    "the decision to retry": "retry",
    "a provider's requests per minute and cool-down": "rate",
    "retry-after parsed": "retry_after",
    "an idle connection kept for the next request": "pool",
    "what is left of a timeout given to a socket": "exchange",
    "TLS certificates loaded": "tls",
    "a network error mapped to an error class": "error_mapping",
    "a provider's error mapped to an error class": "error_mapping",
    "a request signed for AWS": "sigv4",
    "an answer judged: usable, empty, blocked, cut": "answer",
    "structured output checked against its JSON Schema": "json_schema",
    "a key redacted": "redaction",
    "a key read from a variable, a file or a command": "secrets",
    "`${VAR}` replaced in a configuration": "variables",
    "the list of folders searched for a configuration": "search_path",
    "a CSV row read": "table",
    "an answer written to a batch's journal": "journal",
    "an answer asked for in the background, and fetched": "background",
    "the id of such an answer in the journal of a batch": "background",
    "how each API is asked for a service tier": "service_tier",
    "a job made at a provider's Batch API, waited for": "jobs",
    "a job found again whose create had no answer": "search",
    "a row of a job made an answer or an error": "rows",
    "what differs between Batch APIs": "wire",
    "money reserved before an attempt": "spending",
    "the ledger of what was spent": "ledger",
    "a pace by requests and tokens": "pace",
    "the number of requests in flight found out": "concurrency",
    "the price of an answer looked up": "price",
    "an answer's cost by configured prices": "pricing",
    "the figures of a report made from records": "summary",
    "an answer checked against what was expected": "checks",
    "the page of a report written": "writer",
    "worker processes started and replaced": "processes",
    "an attempt made for the coordinator": "worker",
    "the cost of a batch estimated by a dry run": "dry_run",
    "the JSON record of an answer made": "record",
    "the meaning of each exit code": "exit_code",
    "Ctrl-C handled on the command line": "signals",
    "the process of a local model started and ended": "model",
    "what becomes of a simulated job": "job",
    "a rate limit of the simulator enforced": "rate_limit",
}
ROWS = re.findall(r"^\| (.+) \| `([^`]+)` \| `([^`]+)` \|$", SECTIONS["Where is what?"], re.MULTILINE)


def names(path: Path) -> set[str]:
    """Every class, function and constant that a file defines; of a class also its methods, as Class.method."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


def test_the_table_has_its_topics() -> None:
    """Each row is read, and each topic has its expected word above."""
    assert len(ROWS) >= 32
    assert [topic for topic, _, _ in ROWS] == list(WORDS)


@pytest.mark.parametrize(("topic", "file", "name"), ROWS, ids=[topic for topic, _, _ in ROWS])
def test_a_topic_is_where_the_table_says_in_a_file_named_for_it(topic: str, file: str, name: str) -> None:
    """The file exists, defines the name, and has the field's word for the topic in its name."""
    path = ROOT / "llm_sync" / file
    assert path.is_file()
    assert name in names(path)
    assert WORDS[topic] in path.stem


def test_the_house_in_ten_lines_names_every_room_from_the_top_down() -> None:
    """The ten lines are in the order of the import rules, and no room is missing."""
    layers = re.findall(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
    height = {room: number for number, layer in enumerate(layers.splitlines()) for room in re.findall(r"[a-z_]{3,}", layer)}
    height.pop("__main__")
    lines = re.findall(r"^(\d+)\. (.+)$", SECTIONS["The house in ten lines"], re.MULTILINE)
    assert [int(number) for number, _ in lines] == list(range(1, 11))
    named = [room for _, line in lines for room in re.findall(r"`([a-z_]+)`", line)]
    assert sorted(named) == sorted(height)
    heights = [max(height[room] for room in re.findall(r"`([a-z_]+)`", line)) for _, line in lines]
    assert heights == sorted(heights)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "RELEASING.md", "README.md", ".pre-commit-config.yaml"])
def test_every_make_target_a_page_names_exists(page: str) -> None:
    """A command that a page shows can be typed."""
    if not (ROOT / page).exists():
        assert page.startswith(".")
        assert (ROOT / "PKG-INFO").exists()  # an unpacked sdist has no files of the repository's host
        pytest.skip("only a clone has it")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    text = (ROOT / page).read_text("utf-8")
    rooms = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    for line in re.findall(r"(?:^\$ |`|entry: )make ([^`#\n]+)", text, re.MULTILINE):
        for target in re.findall(r"(?<![\w=./-])[a-z]+(?:-[a-z_]+)*(?![\w=./\"-])", re.sub(r'"[^"]*"', "", line)):
            room = target.removeprefix("test-")
            known = re.search(rf"^(?:[a-z-]+ )*{re.escape(target)}:", makefile, re.MULTILINE) is not None
            assert known or (target.startswith("test-") and room in rooms), target


def test_every_path_it_names_exists() -> None:
    """Files and folders in code are there, in the package or in the checkout; NAME stands for the reader's own."""
    for named in re.findall(r"`([\w./]+/[\w./]*)`", PAGE):
        if "NAME" not in named and named != ".ci/run":
            assert (ROOT / named).exists() or (ROOT / "llm_sync" / named).exists(), named
