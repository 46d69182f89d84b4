"""The life of a local model's server: when it starts, what it is told, and that it always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from llm_sync import ConfigLoader, LLMClient
from llm_sync.errors import AuthenticationError, ConfigurationError, ProviderUnavailableError
from llm_sync.local import LocalModel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes as on POSIX")


def is_running(pid):
    """Whether there is such a process that has not ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_ended(pid):
    """Wait for the end of a process that is not a child; fail after ten seconds."""
    end = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.02)


def server_pid(client):
    """The process of the server, as the stand-in answers it."""
    return int(client.generate("who?").text.split()[1])


def test_client_of_the_model_asks_it_and_leaving_ends_it(stand_in):
    """The server is another process; it is gone when the block is left."""
    with LocalModel(stand_in) as local, local.client() as client:
        answer = client.generate("who?")
        pid = int(answer.text.split()[1])
        assert pid != os.getpid()
        assert (answer.provider, answer.model) == ("local", "tiny")
    assert not is_running(pid)
    with pytest.raises(RuntimeError, match="not running"):
        local.base_url  # noqa: B018


def test_configuration_of_the_model_works_as_a_file(stand_in, tmp_path, monkeypatch):
    """The configuration's text is a file like any other, with the key from the variable."""
    with LocalModel(stand_in, api_key="sk-local-0123456789") as local:
        file = tmp_path / "local.yaml"
        file.write_text(local.configuration(key_variable="THE_KEY"))
        monkeypatch.setenv("THE_KEY", "sk-local-0123456789")
        with LLMClient(ConfigLoader().load_config(file)) as client:
            assert client.generate("who?").text.startswith("pid ")
        monkeypatch.setenv("THE_KEY", "sk-another-0123456789")
        with LLMClient(ConfigLoader().load_config(file)) as client, pytest.raises(AuthenticationError):
            client.generate("who?")


def test_started_twice_is_an_error_and_stopped_twice_is_not(stand_in):
    """A model that runs is not started over; a stopped one can be started again, on another port."""
    local = LocalModel(stand_in)
    local.start()
    with pytest.raises(RuntimeError, match="started already"):
        local.start()
    local.stop()
    local.stop()
    with local:
        assert local.base_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("how", ["fails", "crashes"])
def test_model_that_cannot_be_loaded_is_told_with_its_file(how, stand_in, monkeypatch):
    """The error names the file, what was said of it, and leaves no process."""
    monkeypatch.setenv("XLLAMACPP", how)
    local = LocalModel(stand_in)
    with pytest.raises(ConfigurationError, match="llama.cpp could not load") as caught:
        local.start()
    assert str(stand_in) in str(caught.value)
    assert ("not enough memory" in str(caught.value)) == (how == "fails")
    assert local._process is None


def test_model_that_loads_for_ever_is_given_up(stand_in, monkeypatch):
    """After startup_timeout the server is ended and the error says what to change."""
    monkeypatch.setenv("XLLAMACPP", "hangs")
    with pytest.raises(ProviderUnavailableError, match="startup_timeout"), LocalModel(stand_in, startup_timeout=0.5):
        pass


@pytest.mark.parametrize("options", [{"port": -1}, {"port": 65536}, {"context": 0}, {"parallel": 0}])
def test_numbers_out_of_range_are_refused_at_once(options):
    """Before anything is looked for."""
    with pytest.raises(ValueError, match="must be"):
        LocalModel(**options)


OWNER = """
import sys
sys.path[:] = eval(sys.argv[2])
from llm_sync.local import LocalModel
local = LocalModel(sys.argv[1]).start()
with local.client() as client:
    print(client.generate("who?").text.split()[1], flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_server_ends_with_its_owner(number, stand_in):
    """Whatever signal ends the owner, the server reads the end of its input and ends, too."""
    argv = [sys.executable, "-c", OWNER, str(stand_in), repr(sys.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        pid = int(owner.stdout.readline())
        assert is_running(pid)
        owner.send_signal(number)
        owner.wait(20)
    wait_until_ended(pid)


def test_ctrl_c_at_the_terminal_leaves_the_server_to_its_owner(stand_in):
    """SIGINT to the whole group does not end the server while its owner still works."""
    with LocalModel(stand_in) as local, local.client() as client:
        pid = server_pid(client)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
        assert server_pid(client) == pid


def test_module_in_the_working_folder_is_not_taken_for_llama_cpp(stand_in, tmp_path, monkeypatch):
    """The server imports from where its owner does: a file in the folder it happens to be in is not run."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "xllamacpp.py").write_text("raise SystemExit('the wrong module')")
    (folder / "json.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(folder))])
    with LocalModel(stand_in) as local, local.client() as client:
        assert server_pid(client)
