"""The fixture llm_recorded in a user's test suite: pytest runs in a process of its own, with the installed plugin."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.simulator import Simulator

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LLM_SYNC_TEST_INSTALLED"), reason="only an installed package is a plugin of pytest"),
    pytest.mark.timeout(180),
]
ROOT = Path(__file__).parents[2]
Suite = Callable[..., tuple[int, str]]
# Those that others installed and these suites do not use: importing them takes half of what a run of pytest costs.
OTHERS = [f"-pno:{name}" for name in ("hypothesispytest", "anyio", "pytest_cov", "timeout", "platformdirs")]

CONFIG = """
defaults: {model: work/gpt-4o-mini, retry_base: 0}
providers:
  work: {type: openai, api_key: "${WORK_KEY}", base_url: "<openai>"}
"""
CODE = """
import llm_sync

def summary_of(text):
    return llm_sync.generate(f"Summarize: {text}", config="./llms.yaml").text
"""
TESTS = """
from code_under_test import summary_of

def test_it_summarizes(llm_recorded):
    assert "Summarize" in summary_of("a long story")

def test_two_equal_calls_are_two_samples(llm_recorded):
    assert isinstance(summary_of("x"), str) and isinstance(summary_of("x"), str)
"""


@pytest.fixture
def suite(tmp_path: Path, upstream: Simulator) -> Suite:
    """``suite(folder, arguments)`` runs pytest in it; returns status and output. The network is the simulator ``upstream``."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "llms.yaml").write_text(CONFIG.replace("<openai>", upstream.url("openai")))
    (folder / "code_under_test.py").write_text(CODE)
    (folder / "test_it.py").write_text(TESTS)

    def run(*arguments: str, folder: Path = folder, **environ: str) -> tuple[int, str]:
        others = OTHERS if "-n" in arguments else [*OTHERS, "-pno:xdist", "-pno:xdist.looponfail"]
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -W error -p no:cacheprovider\npythonpath = .\n")
        ran = subprocess.run(
            [sys.executable, "-I", "-m", "pytest", "-q", *others, *arguments],
            check=False,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return ran.returncode, ran.stdout + ran.stderr

    return run


KEY = {"WORK_KEY": "sk-work-0123456789abcdef"}


def cassettes(folder: Path) -> list[Path]:
    """The files of all recorded answers."""
    return sorted((folder / "cassettes").rglob("*.json"))


def test_the_first_run_records_and_the_next_ones_replay(suite: Suite, upstream: Simulator, tmp_path: Path) -> None:
    """In a fresh copy, without a network and without a key; two equal calls in one test replay two answers."""
    status, output = suite(**KEY)
    assert status == 0, output
    assert len(upstream.requests) == 3
    clone = tmp_path / "clone"
    shutil.copytree(tmp_path / "suite", clone)
    upstream.stop()
    status, output = suite(folder=clone)
    assert status == 0, output
    assert len(upstream.requests) == 3
    for path in cassettes(clone):
        text = path.read_text("utf-8")
        assert text.startswith('{\n  "llm_sync_answer": 1,\n')  # to be reviewed
        assert KEY["WORK_KEY"] not in text


def test_a_changed_prompt_fails_clearly(suite: Suite, upstream: Simulator, tmp_path: Path) -> None:
    """The test fails and says what is recorded and what is asked now; nothing is sent."""
    suite(**KEY)
    (tmp_path / "suite/code_under_test.py").write_text(CODE.replace("Summarize:", "Sum up:"))
    status, output = suite(**KEY)
    assert status == 1
    plain = " ".join(output.replace("E  ", "").split())
    assert '"Summarize: a long story" is stored, "Sum up: a long story" is asked' in plain
    assert "run pytest with --llm-recorded=all" in plain
    assert len(upstream.requests) == 3


def test_a_miss_fails_the_test_even_if_the_code_keeps_the_error(suite: Suite, tmp_path: Path) -> None:
    """A program that goes on without an answer would let its test pass."""
    suite(**KEY)
    caught = CODE.replace("Summarize:", "Sum up:").replace(
        "    return",
        "    try:\n        llm_sync.generate('new', config='./llms.yaml')\n    except Exception:\n        pass\n    return",
    )
    (tmp_path / "suite/code_under_test.py").write_text(caught.replace("Sum up:", "Summarize:"))
    status, output = suite("-k", "summarizes")
    assert status == 1
    assert re.search(r"1 passed.*1 error", output)
    assert "llm_recorded: work/gpt-4o-mini: the answer is not stored" in output


def test_modes(suite: Suite, upstream: Simulator, tmp_path: Path) -> None:
    """none never records, all always does; the option of the command line overrules the marker."""
    assert suite("--llm-recorded=none", **KEY)[0] == 1
    assert len(upstream.requests) == 0
    suite(**KEY)
    before = [path.read_text() for path in cassettes(tmp_path / "suite")]
    status, output = suite("--llm-recorded=all", **KEY)
    assert status == 0, output
    assert len(upstream.requests) == 6
    after = [path.read_text() for path in cassettes(tmp_path / "suite")]
    assert len(after) == len(before) == 3
    assert after != before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [((), "Nothing was recorded in .*test_it_summarizes before"), (("--llm-recorded=all",), "All is recorded anew")],
    ids=["once", "all"],
)
@pytest.mark.parametrize(
    ("config", "environ", "error"),
    [
        ("./llms.yaml", {}, "AuthenticationError"),
        ("no-such", {}, "ConfigurationError"),
        ("./llms.yaml", KEY, "ProviderConnectionError"),
    ],
    ids=["no key", "no configuration", "no network"],
)
def test_a_run_that_records_says_what_it_needs(
    suite: Suite,
    upstream: Simulator,
    tmp_path: Path,
    config: str,
    environ: dict[str, str],
    error: str,
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    """In the line of the error, before what to do about it, and why: it records."""
    (tmp_path / "suite/code_under_test.py").write_text(CODE.replace('"./llms.yaml"', f'"{config}", max_retries=0'))
    upstream.stop()
    status, output = suite("-k", "summarizes", *arguments, **environ)
    assert status == 1
    line = rf"E +llm_sync\.errors\.{error}: .*\. {reason}, so this run sends the requests: it needs a key and the network\. .*\n"
    assert re.search(line, output), output


def test_other_errors_of_a_run_that_records_are_left_as_they_are(suite: Suite, tmp_path: Path) -> None:
    """Of a model that does not exist, and of the test itself."""
    tests = """
    import llm_sync

    def test_model(llm_recorded):
        llm_sync.generate("x", "work/no-such-model", config="./llms.yaml")

    def test_own(llm_recorded):
        raise ValueError("x")
    """
    (tmp_path / "suite/test_it.py").write_text(textwrap.dedent(tests))
    status, output = suite(**KEY)
    assert status == 1
    assert "ModelNotFoundError" in output
    assert "ValueError: x" in output
    assert "this run sends the requests" not in output


def test_workers_record_one_cassette_together(suite: Suite, upstream: Simulator, tmp_path: Path) -> None:
    """With pytest-xdist, tests that share a cassette all record in the first session, and all replay in the next."""
    tests = "import pytest\nfrom code_under_test import summary_of\n"
    tests += "pytestmark = pytest.mark.llm_recorded('shared')\n"
    tests += "".join(f"def test_{n}(llm_recorded):\n    assert summary_of('story {n % 3}')\n" for n in range(8))
    (tmp_path / "suite/test_it.py").write_text(tests)
    status, output = suite("-n", "3", **KEY)
    assert status == 0, output
    assert len(upstream.requests) == 3
    assert len(list((tmp_path / "suite/shared").rglob("*.json"))) == 3
    status, output = suite("-n", "2")
    assert status == 0, output
    assert len(upstream.requests) == 3


def test_errors_are_recorded_on_request(suite: Suite, tmp_path: Path) -> None:
    """A test of what the code does about a refused request."""
    tests = """
    import llm_sync, pytest
    from code_under_test import summary_of

    @pytest.mark.llm_recorded("bad", errors=True)
    def test_it(llm_recorded):
        with pytest.raises(llm_sync.ModelNotFoundError):
            llm_sync.generate("x", "work/no-such-model", config="./llms.yaml")
    """
    (tmp_path / "suite/test_it.py").write_text(textwrap.dedent(tests))
    assert suite(**KEY)[0] == 0
    status, output = suite()
    assert status == 0, output
    (path,) = (tmp_path / "suite/bad").rglob("*.json")
    assert json.loads(path.read_text())["reply"]["status"] == 404


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        ("'x', mode='twice'", "mode is 'twice': use one of once, none, all"),
        ("'x', 'y'", "unknown arguments"),
        ("folder='x'", "unknown arguments"),
        ("7", "the cassette is 7"),
    ],
)
def test_a_mistake_in_the_marker_is_said_in_a_line(suite: Suite, tmp_path: Path, marker: str, problem: str) -> None:
    """Without the plugin's source."""
    tests = f"import pytest\n@pytest.mark.llm_recorded({marker})\ndef test_it(llm_recorded): pass\n"
    (tmp_path / "suite/test_it.py").write_text(tests)
    status, output = suite()
    assert status == 1
    assert problem in output
    assert "pytest_plugin.py" not in output


def test_a_child_process_replays_too(suite: Suite, tmp_path: Path) -> None:
    """The command line in a subprocess, as a script would call it."""
    tests = """
    import subprocess, sys

    def ask():
        words = ["-m", "llm_sync", "generate", "--config", "./llms.yaml", "Say hello"]
        return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout

    def test_it(llm_recorded):
        assert ask()
    """
    (tmp_path / "suite/test_it.py").write_text(textwrap.dedent(tests))
    assert suite(**KEY)[0] == 0
    status, output = suite()
    assert status == 0, output


def test_a_suite_for_openai_s_package_replays(suite: Suite, upstream: Simulator, tmp_path: Path) -> None:
    """Scripts under run-script use the cassette unchanged."""
    tests = """
    import subprocess, sys

    SCRIPT = "import openai; m = [{'role': 'user', 'content': 'Say hello'}]; " \\
        "print(openai.OpenAI().chat.completions.create(model='gpt-4o-mini', messages=m).choices[0].message.content)"

    def test_it(llm_recorded, tmp_path):
        (tmp_path / "script.py").write_text(SCRIPT)
        words = ["-m", "llm_sync", "run-script", "--config", "./llms.yaml", str(tmp_path / "script.py")]
        assert subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout.strip()
    """
    (tmp_path / "suite/test_it.py").write_text(textwrap.dedent(tests))
    status, output = suite(**KEY)
    assert status == 0, output
    assert len(upstream.requests) == 1
    status, output = suite(**KEY)
    assert status == 0, output
    assert len(upstream.requests) == 1


def test_the_plugin_loads_nothing_until_it_is_used(suite: Suite, tmp_path: Path) -> None:
    """pytest loads it in every run on a machine where llm-sync is installed."""
    (tmp_path / "suite/test_it.py").write_text(
        "import sys\ndef test_it():\n"
        "    loaded = {name for name in sys.modules if name.startswith('llm_sync')}\n"
        "    assert loaded <= {'llm_sync', 'llm_sync.simulator', 'llm_sync.simulator.pytest_plugin', 'llm_sync.cache',"
        " 'llm_sync.cache.pytest_plugin'}, loaded\n"
    )
    status, output = suite()
    assert status == 0, output


def test_the_suite_of_the_documentation_runs_offline_from_its_cassettes(
    suite: Suite, upstream: Simulator, tmp_path: Path
) -> None:
    """As docs/testing.md shows it: recorded once, then run in a fresh folder without network and key, and failing clearly when
    the prompt changes."""
    page = (ROOT / "docs/testing.md").read_text("utf-8")
    (text,) = re.findall(r"```python file=test_summary\.py\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "suite"
    (folder / "test_it.py").unlink()
    (folder / "test_summary.py").write_text(text)
    configuration = folder / "own" / "default-llms.yaml"
    configuration.parent.mkdir()
    configuration.write_text(f"providers: {{openai: {{base_url: '{upstream.url('openai')}', api_key: '${{WORK_KEY}}'}}}}")
    where = {"LLM_SYNC_CONFIG_DIR": str(configuration.parent)}
    status, output = suite(**KEY, **where)
    assert status == 0, output
    clone = tmp_path / "clone"
    shutil.copytree(folder, clone)
    upstream.stop()
    status, output = suite(folder=clone, **where)
    assert status == 0, output
    (clone / "test_summary.py").write_text(text.replace("Summarize in one sentence", "Summarize in two sentences"))
    status, output = suite(folder=clone, **where)
    assert status == 1
    assert "is stored" in output
    assert "is asked" in output
