"""The fixture llm_simulator, as a user's own suite has it: a run of pytest of its own, with the installed plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(
    not os.environ.get("LLM_SYNC_TEST_INSTALLED"), reason="only an installed package is a plugin of pytest"
)


@pytest.fixture
def suite(tmp_path):
    """``suite(text, …)`` runs pytest on a file with this text, and gives status and output."""

    def run(text, *arguments, **environ):
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -W error -p no:cacheprovider -p no:xdist\n")
        (tmp_path / "test_it.py").write_text(textwrap.dedent(text))
        ran = subprocess.run(
            [sys.executable, "-I", "-m", "pytest", "-q", *arguments],
            check=False,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ran.returncode, ran.stdout + ran.stderr

    return run


def test_code_under_test_finds_the_simulator_by_itself(suite):
    """Test after test, each with its own; keys and configurations of the machine are out of the way."""
    status, output = suite(
        """
        import llm_sync

        def test_one(llm_simulator):
            assert "hello" in llm_sync.generate("Say hello", model="openai/gpt-4o-mini").text
            (record,) = llm_simulator.requests
            assert record.payload["messages"][0]["content"] == "Say hello"

        def test_two(llm_simulator):
            with llm_sync.LLMClient.from_config() as client:
                assert client.generate("Say hello", "gemini/gemini-2.0-flash").text
            assert llm_sync.generate("Say hello").text
            assert len(llm_simulator.requests) == 2
        """,
        LLM_SYNC_CONFIG="/nowhere.yaml",
        OPENAI_API_KEY="real",
        HTTP_PROXY="http://proxy.invalid",
    )
    assert status == 0, output


def test_options_by_marker(suite):
    """Script, keys and all else that Simulator takes; the nearest marker wins."""
    status, output = suite(
        """
        import pytest
        import llm_sync

        pytestmark = pytest.mark.llm_simulator(seed=3, script={"rules": [{"error": "auth"}]})

        @pytest.mark.llm_simulator(script={"rules": [{"error": "quota"}]}, tls=True)
        def test_nearest(llm_simulator):
            assert llm_simulator.root.startswith("https")
            with pytest.raises(llm_sync.QuotaExceededError):
                llm_sync.generate("x")

        def test_module(llm_simulator):
            with pytest.raises(llm_sync.AuthenticationError):
                llm_sync.generate("x")

        @pytest.mark.llm_simulator(script={"rules": [{"latency": 0}]}, keys=["only-this"])
        def test_keys(llm_simulator):
            assert llm_sync.generate("x").text
        """
    )
    assert status == 0, output


def test_mistakes_are_told(suite):
    """A wrong script, options without names, and what failed inside the simulator."""
    status, output = suite(
        """
        import pytest
        import llm_sync

        @pytest.mark.llm_simulator(script={"rules": [{"eror": "auth"}]})
        def test_script(llm_simulator):
            pass

        @pytest.mark.llm_simulator("bad-day")
        def test_positional(llm_simulator):
            pass

        @pytest.mark.llm_simulator(sript="bad-day")
        def test_misspelt(llm_simulator):
            pass

        @pytest.mark.llm_simulator(on_request=lambda record: 1 / 0)
        def test_inside(llm_simulator):
            with pytest.raises(llm_sync.ProviderUnavailableError):
                llm_sync.generate("x", max_retries=0)
        """
    )
    assert status == 1
    assert "did you mean error?" in output
    assert "takes options by name" in output
    assert "the simulator failed inside: [ZeroDivisionError('division by zero')]" in output
    assert "llm_simulator has no option 'sript'; Simulator has port, keys," in output
    assert "4 errors" in output


def test_whoever_does_not_use_it_pays_nothing(suite):
    """The plugin imports no room, and no dependency, until the fixture is asked for."""
    status, output = suite(
        """
        import sys

        def test_nothing():
            loaded = {name for name in sys.modules if name.startswith("llm_sync")}
            assert loaded == {"llm_sync", "llm_sync.simulator", "llm_sync.simulator.pytest_plugin"}
            assert not {"yaml", "requests", "cerberus"} & set(sys.modules)
        """
    )
    assert status == 0, output


def test_it_is_listed(suite):
    """``pytest --fixtures`` and ``--markers`` tell what it is."""
    assert "llm_simulator" in suite("", "--markers")[1]
    status, output = suite("", "--fixtures")
    assert status in (0, 5)
    assert "Simulated providers for one test" in output
