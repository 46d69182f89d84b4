"""The fixture llm_simulator in a user's test suite: pytest runs in a process of its own, with the installed plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(
    not os.environ.get("LLM_SYNC_TEST_INSTALLED"), reason="only an installed package is a plugin of pytest"
)

# Those that others installed and these suites do not use: importing them takes half of what a run of pytest costs.
OTHERS = [f"-pno:{name}" for name in ("hypothesispytest", "anyio", "pytest_cov", "timeout", "platformdirs", "xdist.looponfail")]


@pytest.fixture
def suite(tmp_path):
    """``suite(text, …)`` runs pytest on a file with this text; returns status and output."""

    def run(text, *arguments, **environ):
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -W error -p no:cacheprovider -p no:xdist\n")
        (tmp_path / "test_it.py").write_text(textwrap.dedent(text))
        ran = subprocess.run(
            [sys.executable, "-I", "-m", "pytest", "-q", *OTHERS, *arguments],
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
    """Code under test uses the simulator, a new one in each test, and no key or configuration of the machine."""
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
    """A marker passes options to Simulator; the closest marker wins."""
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


def test_mistakes_are_reported(suite):
    """A wrong script, unnamed and unknown options and internal errors fail the test with a clear message."""
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

        @pytest.mark.llm_simulator(sed=3)
        def test_misspelt(llm_simulator):
            pass

        @pytest.mark.llm_simulator(port="x")
        def test_wrong_type(llm_simulator):
            pass

        @pytest.mark.llm_simulator(keys="sk-only-0123456789")
        def test_one_key(llm_simulator):
            pass

        @pytest.mark.llm_simulator(on_request=lambda record: 1 / 0)
        def test_inside(llm_simulator):
            with pytest.raises(llm_sync.ProviderUnavailableError):
                llm_sync.generate("x", max_retries=0)
        """
    )
    assert status == 1
    assert "did you mean error?" in output
    assert "llm_simulator: pass options by name" in output
    assert "llm_simulator: there is no option 'sed'; the options are port, keys, latency, seed, script" in output
    assert "llm_simulator: it could not be started with port='x': TypeError: " in output
    assert "llm_simulator: keys is a string" in output
    assert "the simulator had internal errors: [ZeroDivisionError('division by zero')]" in output
    assert "6 errors" in output
    assert "pytest_plugin.py" not in output  # no source of the plugin is shown
    assert "sk-only" not in output.replace('keys="sk-only-0123456789"', "")


def test_a_configuration_that_the_code_names_is_answered_too(suite):
    """A configuration named by the code is simulated, too; tests do not share clients."""
    status, output = suite(
        """
        import socket
        import llm_sync
        from llm_sync.compat import openai
        import pytest

        HELLO = [{"role": "user", "content": "Say hello"}]

        @pytest.fixture(autouse=True)
        def here(monkeypatch, tmp_path):
            look_up = socket.getaddrinfo

            def looking_up(host, *more, **options):
                assert host == "127.0.0.1", host
                return look_up(host, *more, **options)

            monkeypatch.setattr(socket, "getaddrinfo", looking_up)
            mine = "providers: {openai: {api_key: sk-real-0123456789, models: [gpt-4o-mini]}}"
            (tmp_path / "mine.yaml").write_text(mine)

        @pytest.mark.parametrize("number", [1, 2])
        @pytest.mark.llm_simulator(keys=["sk-simulated-0123456789"])
        def test_named(llm_simulator, tmp_path, number):
            assert "hello" in llm_sync.generate("Say hello", config=str(tmp_path / "mine.yaml")).text
            with llm_sync.LLMClient.from_config(str(tmp_path / "mine.yaml")) as client:
                assert client.generate("Say hello").text
            client = openai.OpenAI(api_key="sk-real-0123456789")
            assert client.chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices
            assert len(llm_simulator.requests) == 3
        """
    )
    assert status == 0, output


def test_whoever_does_not_use_it_pays_nothing(suite):
    """The plugin imports nothing of llm-sync and no dependency until the fixture is used."""
    status, output = suite(
        """
        import sys

        def test_nothing():
            loaded = {name for name in sys.modules if name.startswith("llm_sync")}
            plugins = {f"llm_sync.{room}.pytest_plugin" for room in ("simulator", "cache")}
            assert loaded == {"llm_sync", "llm_sync.simulator", "llm_sync.cache", *plugins}
            assert not {"yaml", "requests", "cerberus"} & set(sys.modules)
        """
    )
    assert status == 0, output


def test_it_is_listed(suite):
    """``pytest --fixtures`` and ``--markers`` describe the fixture."""
    assert "llm_simulator" in suite("", "--markers")[1]
    status, output = suite("", "--fixtures")
    assert status in (0, 5)
    assert "A simulator for one test" in output
