"""Keys by reference."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import threading
from pathlib import Path

import pytest

from llm_sync.config import Secret
from llm_sync.errors import AuthenticationError, ConfigurationError

MARKER = "sk-MARKER-0123456789"


def command(script: str) -> tuple[str, ...]:
    """A Python command, as a list of words."""
    return (sys.executable, "-S", "-c", script)


def refused(secret: Secret) -> AuthenticationError:
    """The error of a reveal, which shows no key."""
    with pytest.raises(AuthenticationError) as caught:
        secret.reveal()
    assert caught.value.status is None
    assert caught.value.retryable is False
    assert caught.value.__cause__ is None
    assert MARKER not in f"{caught.value} {caught.value.guidance}"
    return caught.value


def test_a_variable_is_read_at_every_reveal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key set, changed or removed later counts from then on."""
    secret = Secret.from_variable("OPENAI_API_KEY", provider="openai")
    error = refused(secret)
    assert str(error).startswith("openai: the environment variable OPENAI_API_KEY is not set. Set it")
    monkeypatch.setenv("OPENAI_API_KEY", MARKER)
    assert secret.reveal() == MARKER
    monkeypatch.setenv("OPENAI_API_KEY", MARKER + "2")
    assert secret.reveal() == MARKER + "2"


def test_messages_name_variable_and_line() -> None:
    """Where to look, without the key."""
    secret = Secret("template", "${MY_KEY}", provider="p", where="llms.yaml:4")
    assert "the environment variable MY_KEY (llms.yaml:4) is not set" in str(refused(secret))
    literal = Secret("template", f"{MARKER} x", where="llms.yaml:4")
    assert str(refused(literal)).startswith("the key from api_key (llms.yaml:4) holds a blank")


def test_a_malformed_reference_is_reported() -> None:
    """``${KEY`` without its brace fails when used, with the way to write it."""
    assert "holds an unreadable ${…}" in str(refused(Secret("template", f"${{{MARKER}", where="x.yaml:3")))


def test_dollar_signs_are_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """``$$`` is one in a template; a literal from code is taken as it is."""
    assert Secret("template", "a$$b").reveal() == "a$b"
    assert Secret.literal("a$$b").reveal() == "a$$b"
    monkeypatch.setenv("B", "b$$b")
    assert Secret.from_variable("B").reveal() == "b$$b"


def test_nothing_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """repr, str, format; of a command only the program, as its arguments may be secret."""
    monkeypatch.setenv("V", MARKER)
    secrets = [
        Secret.literal(MARKER),
        Secret("template", MARKER, where="x:1"),
        Secret("template", f"${{NO:-{MARKER}}}"),
        Secret("template", "${V}"),
        Secret("command", f"/bin/echo {MARKER}"),
        Secret("command", ("echo", MARKER)),
    ]
    for secret in secrets:
        assert MARKER not in f"{secret!r} {secret} {secret.source} {[secret]}"
    assert repr(secrets[3]) == "Secret(${V})"
    assert repr(secrets[4]) == "Secret(command echo)"
    assert repr(secrets[0]) == "Secret(***)"


def test_references_pickle_and_literals_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pickled is where the key is to be had."""
    monkeypatch.setenv("V", MARKER)
    for secret in (
        Secret("template", "${V}", provider="p", where="x:1"),
        Secret("file", "k", folder="/x"),
        Secret("command", ("a", "b")),
    ):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            data = pickle.dumps(secret, protocol)
            assert MARKER.encode() not in data
            assert pickle.loads(data) == secret  # noqa: S301  made two lines above
    for secret in (
        Secret.literal(MARKER),
        Secret("template", MARKER),
        Secret("template", "${V:-x}"),
        Secret("template", "sk-${V}"),
    ):
        with pytest.raises(ConfigurationError, match=r"api_key: \$\{VAR\}") as caught:
            pickle.dumps(secret)
        assert MARKER not in str(caught.value)


def test_copies_are_the_secret_itself() -> None:
    """A literal one, too: copying within a process carries nothing away."""
    secret = Secret.literal(MARKER)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": [secret]})["a"][0] is secret


def test_a_secret_does_not_change() -> None:
    """And has no dict to look into."""
    secret = Secret.literal(MARKER)
    with pytest.raises(AttributeError):
        secret._spec = "x"
    with pytest.raises(TypeError):
        vars(secret)
    assert len({secret, Secret.literal(MARKER)}) == 1
    assert secret != MARKER


posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


@posix
def test_a_key_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    """Relative paths start at the configuration's folder; the file is read anew at each reveal."""
    path = tmp_path / "key"
    path.write_text(MARKER + "\r\n")
    path.chmod(0o600)
    secret = Secret("file", "key", folder=str(tmp_path))
    assert secret.reveal() == MARKER
    path.write_text(MARKER + "2")
    assert secret.refresh()
    assert secret.reveal() == MARKER + "2"


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that closes it."""
    path = tmp_path / "key"
    path.write_text(MARKER)
    path.chmod(mode)
    error = refused(Secret("file", str(path), where="x.yaml:3"))
    assert f"is open to others (mode {mode:o})" in str(error)
    assert error.guidance == f"Close it: chmod 600 {path}"


@posix
def test_impossible_key_files_say_why(tmp_path: Path) -> None:
    """Missing, a folder, a FIFO, binary, empty, a NUL in the name."""
    (tmp_path / "bin").write_bytes(b"\xff\xfa")
    (tmp_path / "empty").write_bytes(b"\n")
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("bin", "empty"):
        (tmp_path / name).chmod(0o600)
    expected = {
        "no": "No such file",
        ".": "Is a directory",
        "fifo": "is empty",
        "bin": "not ASCII",
        "empty": "is empty",
        "a\0b": "name",
    }
    for name, reason in expected.items():
        assert reason in str(refused(Secret("file", name, folder=str(tmp_path))))


def test_a_key_file_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``api_key_file: ${CREDENTIALS_DIRECTORY}/openai``."""
    path = tmp_path / "key"
    path.write_text(MARKER)
    path.chmod(0o600)
    secret = Secret("file", "${DIRECTORY}/key")
    assert "DIRECTORY" in str(refused(secret))
    monkeypatch.setenv("DIRECTORY", str(tmp_path))
    assert secret.reveal() == MARKER


def test_a_command_runs_once_per_process(tmp_path: Path) -> None:
    """Until it is asked for a new key."""
    log = tmp_path / "log"
    secret = Secret("command", command(f"open({str(log)!r}, 'a').write('x'); print({MARKER!r})"))
    assert [secret.reveal() for _ in range(3)] == [MARKER] * 3
    assert log.read_text() == "x"
    assert secret.refresh()
    assert secret.reveal() == MARKER
    assert log.read_text() == "xx"


def test_threads_share_one_run(tmp_path: Path) -> None:
    """All wait for the one that was first: the command holds until every thread has asked."""
    fifo, log = tmp_path / "fifo", tmp_path / "log"
    if os.name != "posix":
        pytest.skip("needs a FIFO")
    os.mkfifo(fifo)
    script = f"open({str(log)!r}, 'a').write('x'); open({str(fifo)!r}).read(); print({MARKER!r})"
    secret = Secret("command", command(script))
    asking = threading.Semaphore(0)
    keys: list[str] = []

    def ask() -> None:
        asking.release()
        keys.append(secret.reveal())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert asking.acquire(timeout=20)
    fifo.write_text("go")  # blocks until the command reads
    for thread in threads:
        thread.join(20)
    assert keys == [MARKER] * 4
    assert log.read_text() == "x"


def test_a_failed_command_may_be_run_again(tmp_path: Path) -> None:
    """A locked vault may be open the next time."""
    flag = tmp_path / "flag"
    secret = Secret("command", command(f"import os, sys; print({MARKER!r}) if os.path.exists({str(flag)!r}) else sys.exit(3)"))
    assert "ended with status 3" in str(refused(secret))
    flag.touch()
    assert secret.reveal() == MARKER


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    """Words are split as shells do, and nothing else of a shell happens."""
    secret = Secret(
        "command",
        f'"{sys.executable}" -S -c "import sys; print(sys.argv[1][:2] + \'k\')" "$(touch x);" > y',
        folder=str(tmp_path),
    )
    assert secret.reveal() == "$(k"
    assert list(tmp_path.iterdir()) == []


def test_a_commands_output_shows_nowhere(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """Neither its stdout nor its stderr, whether it succeeds or not."""
    caplog.set_level(1)
    script = f"import sys; print({MARKER!r}); sys.stderr.write({MARKER!r}); sys.exit(1)"
    error = refused(Secret("command", command(script)))
    assert "MARKER" not in f"{error} {caplog.text} {''.join(capfd.readouterr())}"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("no-such-program-anywhere x", "cannot be run: No such file"),
        ("'open", "is not a command line"),
        ("", "is empty"),
        ((), "is empty"),
        (("a\0b",), "cannot be run"),
        (("${NO_SUCH_VARIABLE}",), "NO_SUCH_VARIABLE is not set"),
        (command("print()"), "is empty"),
        (command("print('a b')"), "holds a blank"),
        (command("print('a'); print('b')"), "holds a line end"),
    ],
)
def test_impossible_commands_say_why(spec: str | tuple[str, ...], reason: str) -> None:
    """Each an AuthenticationError naming the command's program at most."""
    assert reason in str(refused(Secret("command", spec)))


def test_a_command_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 30 s, here a twentieth."""
    monkeypatch.setattr("llm_sync.config.key_command.COMMAND_TIMEOUT", 0.05)
    assert "did not end within 0.05 s" in str(refused(Secret("command", command("import time; time.sleep(60)"))))


def test_a_command_that_prints_without_end_is_stopped() -> None:
    """Its output is not collected beyond 64 KiB, and it is not waited for."""
    script = "import sys\nwhile True: sys.stdout.write('x' * 1000)"
    assert "printed more than 64 KiB" in str(refused(Secret("command", command(script))))


def test_a_long_output_below_the_limit_is_read_whole() -> None:
    """More than a pipe holds at once does not block the command."""
    assert Secret("command", command("print('x' * 65000)")).reveal() == "x" * 65000


@posix
def test_a_command_may_leave_a_child_that_keeps_its_output_open(tmp_path: Path) -> None:
    """Agents start a daemon that inherits the output: the key is there when the command itself exits."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = f"open({str(fifo)!r}).read()"  # ends when the test lets it
    script = f"import subprocess, sys; print({MARKER!r}); subprocess.Popen([sys.executable, '-S', '-c', {child!r}])"
    try:
        assert Secret("command", command(script)).reveal() == MARKER
    finally:
        fifo.write_text("end")


@posix
def test_a_command_that_closes_its_output_early_is_still_waited_for() -> None:
    """Its exit status decides whether the key counts."""
    script = f"import os, sys, time; print({MARKER!r}, flush=True); os.close(1); time.sleep(0.05); os._exit(4)"
    assert "ended with status 4" in str(refused(Secret("command", command(script))))


def test_the_reader_for_windows_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a thread reads, as pipes cannot be read without blocking."""
    from llm_sync.config import key_command

    monkeypatch.setattr(key_command, "_read_without_blocking", key_command._read_with_thread)
    assert Secret("command", command(f"print({MARKER!r})")).reveal() == MARKER
    assert "printed more than 64 KiB" in str(refused(Secret("command", command("print('x' * 100000)"))))
    monkeypatch.setattr(key_command, "COMMAND_TIMEOUT", 0.05)
    assert "did not end within 0.05 s" in str(refused(Secret("command", command("import time; time.sleep(60)"))))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_runs_the_command_itself(tmp_path: Path) -> None:
    """A run begun in the parent would never end in the child."""
    from llm_sync.config import key_command

    secret = Secret("command", command(f"print({MARKER!r})"))
    key_command._runs[os.getpid(), secret._run_name()] = key_command._Run()  # under way in this process
    child = os.fork()
    if child == 0:
        os._exit(0 if secret.reveal() == MARKER else 1)
    key_command._runs.clear()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_refresh_tells_whether_there_may_be_another_key() -> None:
    """A literal stays what it is."""
    assert not Secret.literal(MARKER).refresh()
    assert not Secret("template", MARKER).refresh()
    assert Secret.from_variable("X").refresh()


def test_variables_are_listed() -> None:
    """For ``show`` and ``validate``."""
    assert Secret("template", "${A}${B}${A}").variables == ("A", "B")
    assert Secret("command", ("x", "${C}")).variables == ("C",)
    assert Secret.literal("${A}").is_literal


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_key_files_of_windows_tools_are_read(tmp_path: Path, encoding: str) -> None:
    """With their byte-order mark and line end; PowerShell writes UTF-16."""
    (tmp_path / "key").write_bytes("sk-1234\r\n".encode(encoding))
    (tmp_path / "key").chmod(0o600)
    assert Secret("file", str(tmp_path / "key")).reveal() == "sk-1234"


@pytest.mark.parametrize("text", ["OPENAI_API_KEY", "MY_TEAM_API_KEY_2", "HF_API_TOKEN"])
def test_a_variables_name_is_not_taken_for_a_key(text: str) -> None:
    """Somebody forgot the braces: the error writes them."""
    with pytest.raises(AuthenticationError, match="is the name of a variable") as caught:
        Secret("template", text, provider="openai", where="llms.yaml:4").reveal()
    assert caught.value.guidance == f"Did you mean api_key: ${{{text}}}?"


def test_the_name_of_a_variable_that_is_set_is_not_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is called; without such a variable, the text is a key as any other."""
    assert Secret("template", "TEAM_LLM").reveal() == "TEAM_LLM"
    monkeypatch.setenv("TEAM_LLM", "sk-inner")
    with pytest.raises(AuthenticationError, match="is the name of a variable") as caught:
        Secret("template", "TEAM_LLM").reveal()
    assert "sk-inner" not in str(caught.value)


@pytest.mark.parametrize("text", ["EMPTY", "none", "sk-0123456789", "ABCDEF0123456789"])
def test_keys_of_other_forms_stay_keys(text: str) -> None:
    """Local servers want words like EMPTY, and keys may be upper case."""
    assert Secret("template", text).reveal() == text
