"""What only a process of its own shows: signals, pipes, closed streams, terminals, bare environments. Each costs its start."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync.simulator import Simulator

Start = Callable[..., "subprocess.Popen[bytes]"]
Environment = Callable[..., "dict[str, str]"]


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Status, standard output, standard error."""
    out, err = process.communicate(timeout=30)
    return process.returncode, out, (err or b"").decode()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[threading.Semaphore]:
    """A server that takes connections and never answers, behind silent.yaml; released once for each connection."""
    arrived, kept = threading.Semaphore(0), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                while True:
                    kept.append(server.accept()[0])
                    kept[-1].recv(1)
                    arrived.release()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        (tmp_path / "silent.yaml").write_text(
            f"providers: {{openai: {{api_key: '${{CLI_TEST_KEY}}', base_url: '{url}', models: [m, n]}}}}"
        )
        yield arrived
        server.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


ASK_SILENT = ("generate", "--config", "silent.yaml", "-m", "m", "hi")


def test_a_second_ctrl_c_ends_at_once(start: Start, silent: threading.Semaphore, tmp_path: Path) -> None:
    """The first gives what is in flight 5 seconds and says so; the second waits for nothing, and leaves no file behind."""
    process = start(*ASK_SILENT, "--output", "out")
    assert silent.acquire(timeout=20)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert b"Ctrl-C again to stop at once" in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - began < 4
    assert [path.name for path in tmp_path.iterdir()] == ["silent.yaml"]


def test_the_second_signal_runs_nothing_more(environment: Environment) -> None:
    """Even what cannot be aborted, such as a name lookup, does not delay the end."""
    code = (
        "import os, signal; from llm_sync.cli.signals import SignalHandlers\n"
        "with SignalHandlers():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt: print('first', flush=True); os.kill(os.getpid(), signal.SIGTERM)\n"
        "    finally: print('never')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, b"first\n", b"")


def test_the_programs_signal_handlers_come_back(llm: Callable[..., Any]) -> None:
    """A program that calls ``main`` has its own Ctrl-C, SIGTERM and SIGHUP again afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert llm("generate", "--config", "nowhere", "hi").status == 3
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_sigterm_drains_and_ends_with_143(start: Start, silent: threading.Semaphore) -> None:
    """A request at a silent server is given up after the drain's 5 seconds; one that is queued is never sent."""
    process = start(*ASK_SILENT, "-m", "n")
    assert silent.acquire(timeout=20)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status, out, err = ended(process)
    assert (status, out) == (143, b"")
    assert err.splitlines()[-1] == "llm-sync: terminated"
    assert 4 < time.monotonic() - began < 15
    assert not silent.acquire(blocking=False)


@pytest.mark.parametrize(
    ("number", "wanted", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "hung up")],
)
def test_an_answer_that_comes_during_the_drain_is_printed(
    start: Start, config: str, provider: Simulator, number: int, wanted: int, word: str
) -> None:
    """It is paid for. The signal's status all the same; what was queued behind it is not sent."""
    with provider.hold() as hold:
        process = start("generate", "--config", config, "-m", "first/m", "-m", "first/n", "hi")
        hold.wait()
        process.send_signal(number)
        assert process.stderr is not None
        assert b"waiting up to 5 s" in process.stderr.readline()
        if number == signal.SIGHUP:  # where a terminal is closed, the shell sends one and the system another
            process.send_signal(number)
    status, out, err = ended(process)
    assert (status, out, err) == (wanted, b"== first/m ==\nan answer\n", f"llm-sync: {word}\n")
    assert len(provider.requests) == 1


def test_answers_that_can_be_shown_nowhere_stay_beside_the_output(
    start: Start, config: str, provider: Simulator, tmp_path: Path
) -> None:
    """The terminal was closed: what came before, and what comes during the drain, is paid for."""
    with provider.hold() as hold:
        process = start("generate", "--config", config, "-m", "first/m", "-m", "first/n", "--output", "out", "hi")
        hold.wait(timeout=30)
        hold.release()
        hold.wait(timeout=30)  # the second one: the first is answered
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.send_signal(signal.SIGHUP)
        assert b"waiting up to 5 s" in process.stderr.readline()
    assert process.wait(timeout=30) == 129
    printed = process.stderr.read().decode()
    (beside,) = (path for path in tmp_path.iterdir() if path.name.startswith(".out."))
    assert printed == f"llm-sync: the answers are in {str(beside)!r}\nllm-sync: hung up\n"
    assert beside.read_text() == "== first/m ==\nan answer\n\n== first/n ==\nan answer\n"


def test_ctrl_c_while_models_are_listed_ends_at_once(start: Start, silent: threading.Semaphore) -> None:
    """A listing is not worth a drain."""
    process = start("models", "--config", "silent.yaml")
    assert silent.acquire(timeout=20)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, b"", "llm-sync: interrupted\n")
    assert time.monotonic() - began < 4


def test_simulate_serves_until_sigterm(start: Start) -> None:
    """The address is there as soon as it serves; 143, and no word about it."""
    process = start("simulate")
    assert process.stdout is not None
    url = process.stdout.readline().decode().strip()
    host, port = url.removeprefix("http://").split(":")
    socket.create_connection((host, int(port)), timeout=10).close()
    process.send_signal(signal.SIGTERM)
    status, _, err = ended(process)
    assert status == 143
    assert "terminated" not in err


def test_a_closed_pipe_ends_quietly(start: Start, config: str, provider: Simulator) -> None:
    """``| head -0``: 141, as a shell has it for SIGPIPE, and not a word; what is in flight is not waited for."""
    reading, writing = os.pipe()
    os.close(reading)
    with provider.hold(lambda record: record.model == "n"):
        process = start("generate", "--config", config, "-m", "first/m", "-m", "second/n", "hi", stdout=writing)
        os.close(writing)
        assert ended(process)[::2] == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["generate", "-m", "first/m", "hi"], ["--version"], ["--help"]], ids=lambda a: a[0])
def test_a_full_disk_is_an_error(
    start: Start, environment: Environment, config: str, arguments: list[str], unbuffered: str
) -> None:
    """``> /dev/full``: a message and status 1, whatever is written."""
    if arguments[0] == "generate":
        arguments = [*arguments, "--config", config]
    with open("/dev/full", "wb") as full:
        process = start(*arguments, stdout=full, env=environment(PYTHONUNBUFFERED=unbuffered))
    assert ended(process)[::2] == (1, "llm-sync: standard output cannot be written: No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_standard_error_changes_no_status(start: Start, config: str, script: Any) -> None:
    """``2> /dev/full``: messages are lost, and the status stays."""
    script.fail(400)
    with open("/dev/full", "wb") as full:
        process = start("generate", "--config", config, "-m", "first/m", "hi", stderr=full)
    assert ended(process)[:2] == (7, b"")


def closing(*numbers: int) -> Callable[[], None]:
    """Closes standard streams in the child."""

    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


def test_a_closed_standard_output_is_an_error_before_anything_is_sent(start: Start, config: str, provider: Simulator) -> None:
    """``>&-``: an answer that can be put nowhere is not paid for, and no socket is mistaken for standard output."""
    process = start("generate", "--config", config, "-m", "first/m", "hi", preexec_fn=closing(0, 1))
    assert ended(process)[::2] == (1, "llm-sync: standard output cannot be written: Bad file descriptor\n")
    assert provider.requests == []


def test_a_closed_standard_output_does_not_matter_beside_output(start: Start, config: str, tmp_path: Path) -> None:
    """Some cron daemons close it."""
    process = start("generate", "--config", config, "-m", "first/m", "hi", "--output", "o", preexec_fn=closing(0, 1, 2))
    assert ended(process)[0] == 0
    assert (tmp_path / "o").read_text() == "an answer\n"


def test_a_closed_standard_error_changes_no_status(start: Start, config: str, script: Any) -> None:
    """``2>&-``: messages are lost; they do not go to standard output instead."""
    script.fail(400)
    process = start("generate", "--config", config, "-m", "first/m", "hi", preexec_fn=closing(0, 2))
    assert ended(process)[:2] == (7, b"")


def test_a_closed_standard_input_is_no_prompt(start: Start, config: str) -> None:
    """``<&-``: a usage error, not a traceback."""
    status, out, err = ended(start("generate", "--config", config, "-m", "first/m", preexec_fn=closing(0)))
    assert (status, out) == (2, b"")
    assert err.startswith("llm-sync: no prompt: ")


def test_cron_has_no_home_and_no_locale(start: Start, environment: Environment, config: str) -> None:
    """No HOME, no TERM, no PATH, LANG=C, bytes of UTF-8 as arguments: the answer comes all the same."""
    bare = {name: environment()[name] for name in ("PYTHONPATH", "CLI_TEST_KEY")}
    bare |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = start("generate", "--config", config, "-m", "first/m", "grüß 😀", env=bare)
    assert ended(process) == (0, b"an answer\n", "")


def test_file_names_need_no_locale(start: Start, environment: Environment, config: str, tmp_path: Path) -> None:
    """In the locale C, input and output may have names with any characters."""
    folder = tmp_path / "ü 日本"
    folder.mkdir()
    folder.joinpath("in.txt").write_text("hi\n", "utf-8")
    bare = {name: environment()[name] for name in ("PYTHONPATH", "CLI_TEST_KEY")}
    bare |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = ["--text", f"{folder}/in.txt", "-o", f"{folder}/out.jsonl", "--config", config, "-m", "first/m"]
    status, _, err = ended(start("batch", *words, env=bare))
    assert (status, err) == (0, "")
    assert json.loads(folder.joinpath("out.jsonl").read_text("utf-8"))["response"]["text"] == "an answer"


def test_json_on_standard_error_is_json_in_any_locale(start: Start, environment: Environment, config: str, script: Any) -> None:
    """Where characters cannot be written they are escaped, and in the way of JSON."""
    script.fail(400, "überlang 😀")
    bare = {name: environment()[name] for name in ("PYTHONPATH", "CLI_TEST_KEY")}
    bare |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for more in (["--json"], ["--log-json"]):
        _, _, err = ended(start("generate", "--config", config, "-m", "first/m", *more, "hi", env=bare))
        assert "überlang 😀" in str(json.loads(err.splitlines()[-1]))
        script.fail(400, "überlang 😀")


def test_an_ignored_interrupt_stays_ignored(start: Start, config: str, provider: Simulator) -> None:
    """``llm-sync … &`` in a script ignores SIGINT: Ctrl-C for the script is not for it."""
    with provider.hold() as hold:
        process = start(
            "generate", "--config", config, "-m", "first/m", "hi", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
        )
        hold.wait()
        process.send_signal(signal.SIGINT)
    assert ended(process) == (0, b"an answer\n", "")


@pytest.fixture
def on_terminal(environment: Environment) -> Callable[..., tuple[int, str]]:
    """Runs a command line on a terminal of its own: its status and what the terminal showed."""

    def run(*arguments: str) -> tuple[int, str]:
        child, terminal = pty.fork()
        if child == 0:
            os.execve(sys.executable, [sys.executable, "-m", "llm_sync", *arguments], environment(NO_COLOR="1"))  # noqa: S606
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side closed
            while select.select([terminal], [], [], 30)[0] and (part := os.read(terminal, 4096)):
                shown += part
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode().replace("\r\n", "\n")

    return run


def test_a_terminal_sees_headings_and_no_control_sequences(
    on_terminal: Callable[..., Any], config: str, script: Any, key: str
) -> None:
    """Several models have headings; what an answer or an error would do to the terminal is shown instead."""
    script.answer("\x1b]0;owned\x07 \x1b[31mred")
    script.fail(400, "no \x1b[2J good", model="n")
    status, shown = on_terminal("generate", "--config", config, "-m", "first/m", "-m", "first/n", "hi")
    assert status == 9
    assert "\x1b" not in shown
    assert shown.startswith("== first/m ==\n␛]0;owned␇ ␛[31mred\n\n== first/n ==\nllm-sync: first/n: no ")
    assert key not in shown


def test_a_terminal_without_a_prompt_gets_a_usage_error(on_terminal: Callable[..., Any], config: str) -> None:
    """It does not sit and wait for Ctrl-D."""
    status, shown = on_terminal("generate", "--config", config, "-m", "first/m")
    assert status == 2
    assert " ".join(shown.split()) == "llm-sync: no prompt: give it as an argument, with --input FILE, or on standard input"
