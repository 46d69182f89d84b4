"""``llm-sync local``: serving until Ctrl-C, and one command with a model of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from llm_sync.local.command import KEY_VARIABLE, run_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")


def llm_sync(stand_in, *arguments, **options):
    """The command line in a process of its own, with the stand-in for llama.cpp."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from llm_sync.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_command_gets_a_configuration_of_the_model(stand_in):
    """In COMMAND, llm-sync asks the model without another configuration."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import llm_sync; answer = llm_sync.generate('who?'); "
        "print(answer.provider, answer.model)"
    )
    result = llm_sync(stand_in, "local", "--model", stand_in, "--", sys.executable, "-c", code)
    assert (result.returncode, result.stdout) == (0, "local tiny\n"), result.stderr


def test_status_of_the_command_is_returned_and_its_folder_removed(stand_in, tmp_path, monkeypatch):
    """The exit status is the command's; the folder with the configuration is gone afterwards."""
    script = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'seen')!r}, 'w')); raise SystemExit(5)"
    assert run_command([sys.executable, "-c", script], model=str(stand_in), port=0) == 5
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen[KEY_VARIABLE].startswith("sk-local-")
    assert "127.0.0.1" in seen["NO_PROXY"]
    assert not os.path.exists(seen["LLM_SYNC_CONFIG_DIR"])


def test_command_that_does_not_exist_is_127(stand_in):
    """As a shell has it."""
    result = llm_sync(stand_in, "local", "--model", stand_in, "--", "no-such-command-anywhere")
    assert result.returncode == 127
    assert "no such command" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--model", "/nonexistent.gguf"], 3, "cannot be read"),
        (["--model", "MODEL", "--"], 2, "no command follows"),
        (["--port", "70000"], 2, "65535"),
        (["--port", "x"], 2, "--port"),
        (["--model", "/dev/zero"], 3, "not a regular file"),
        (["--model", ""], 2, "it is empty"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments, status, message, stand_in):
    """One line, with the status of its kind."""
    given = [str(stand_in) if word == "MODEL" else word for word in arguments]
    result = llm_sync(stand_in, "local", *given)
    assert result.returncode == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_command_it_serves_until_ctrl_c(stand_in):
    """Its base URL alone is on standard output, and answers without a key."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from llm_sync.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", code, "local", "--model", str(stand_in)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        base_url = server.stdout.readline().strip()
        body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "who?"}]}).encode()
        request = urllib.request.Request(f"{base_url}/chat/completions", data=body)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert json.load(answer)["model"] == "tiny"
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130
        assert "Traceback" not in server.stderr.read()
