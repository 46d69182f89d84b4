"""``llm-sync simulate``: serving until stopped, and running one command against a simulator of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
import yaml

from llm_sync.simulator import Simulator
from llm_sync.simulator.command import KEY_VARIABLE, configuration, run_command, serve

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and modes as on POSIX")
TELL = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


def python(code, *arguments):
    """An argv that runs a line of Python."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_serve_announces_itself_and_ends():
    """``ready`` is called once the simulator listens; the event stops it."""
    ready, until = threading.Event(), threading.Event()
    heard = []

    def note(simulator):
        heard.append(simulator.root)
        ready.set()

    thread = threading.Thread(target=serve, args=(note,), kwargs={"until": until}, daemon=True)
    thread.start()
    assert ready.wait(5)
    with urllib.request.urlopen(f"{heard[0]}/_simulator/summary", timeout=5) as answer:  # noqa: S310
        assert json.load(answer)["requests"] == 0
    until.set()
    thread.join(5)
    assert not thread.is_alive()


@POSIX
def test_serve_ends_on_ctrl_c():
    """SIGINT stops the server and raises KeyboardInterrupt."""
    code = "from llm_sync.simulator.command import serve\nserve(lambda simulator: print(simulator.root, flush=True))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout.readline().startswith("http://127.0.0.1:")
        child.send_signal(signal.SIGINT)
        assert child.wait(10) != 0


@POSIX
def test_serve_ends_in_order_when_its_terminal_is_closed(tmp_path):
    """SIGHUP stops the server, which removes its files, and then ends the process."""
    pytest.importorskip("trustme")
    code = "from llm_sync.simulator.command import serve\nserve(lambda simulator: print(simulator.ca_path, flush=True), tls=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        ca_path = Path(child.stdout.readline().strip())
        assert ca_path.is_file()
        child.send_signal(signal.SIGHUP)
        assert child.wait(20) == -signal.SIGHUP
    assert not ca_path.parent.exists()


def test_configuration_is_what_a_config_is():
    """The configuration is valid YAML with four providers at this port, and takes the key from a variable."""
    with Simulator() as simulator:
        document = yaml.safe_load(configuration(simulator))
        assert document["defaults"] == {"model": "openai/gpt-4o-mini"}
        assert set(document["providers"]) == {"openai", "anthropic", "gemini", "openrouter", "bedrock"}
        for name, provider in document["providers"].items():
            assert provider["type"] == name
            assert provider["base_url"] == simulator.url(name)
            assert provider["api_key"] == f"${{{KEY_VARIABLE}}}"
            assert len(provider["models"]) >= 2
        assert "gpt-4o-mini" in document["providers"]["openai"]["models"]


def test_command_finds_its_configuration(tmp_path, monkeypatch):
    """The command's environment names a private folder and holds the key; an outer LLM_SYNC_CONFIG is removed."""
    monkeypatch.setenv("LLM_SYNC_CONFIG", "something-else")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "intranet")
    look = TELL + "; p = os.environ['LLM_SYNC_CONFIG_DIR']; open(sys.argv[2], 'w').write(open(p + '/default-llms.yaml').read())"
    look += "; open(sys.argv[3], 'w').write(oct(os.stat(p).st_mode & 0o777))"
    told, config, mode = tmp_path / "env", tmp_path / "config", tmp_path / "mode"
    assert run_command(python(look, told, config, mode)) == 0
    environ = json.loads(told.read_text())
    assert "LLM_SYNC_CONFIG" not in environ
    assert environ["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert environ[KEY_VARIABLE] not in config.read_text()
    assert "providers:" in config.read_text()
    assert not Path(environ["LLM_SYNC_CONFIG_DIR"]).exists()
    if os.name == "posix":
        assert stat.S_IMODE(int(mode.read_text(), 8)) == 0o700


def test_command_can_ask_the_simulator():
    """The generated configuration works, with a list of keys too."""
    ask = (
        "import os, re, urllib.request as u\n"
        "text = open(os.environ['LLM_SYNC_CONFIG_DIR'] + '/default-llms.yaml').read()\n"
        "url = re.search(r'http://[^\"]*/openai/v1', text)[0]\n"
        f"request = u.Request(url + '/models', headers={{'Authorization': 'Bearer ' + os.environ['{KEY_VARIABLE}']}})\n"
        "assert u.urlopen(request, timeout=5).status == 200\n"
    )
    assert run_command(python(ask)) == 0
    assert run_command(python(ask), keys=["only-this"]) == 0


@POSIX
def test_what_was_opened_for_the_command_reaches_it(tmp_path):
    """The command inherits descriptors that this process inherited (``<(…)``), but none of the simulator's own."""
    theirs, ours = os.pipe()
    os.set_inheritable(theirs, True)
    os.write(ours, b"for the command")
    os.close(ours)
    code = "import os, sys; sys.exit(os.read(int(sys.argv[1]), 99) != b'for the command')"
    try:
        assert run_command(python(code, theirs)) == 0
    finally:
        os.close(theirs)
    look = "import os, stat; socks = [n for n in range(3, 64) if _socket(n)]; raise SystemExit(len(socks))"
    define = "def _socket(n):\n    try: return stat.S_ISSOCK(os.fstat(n).st_mode)\n    except OSError: return False\n"
    head, rest = look.split("; ", 1)
    assert run_command(python(f"{head}\n{define}{rest}"), log=tmp_path / "log") == 0


def test_over_tls_the_command_learns_whom_to_trust(tmp_path, monkeypatch):
    """With TLS, a variable names the CA file; the variable of an outer simulator is not passed on."""
    told = tmp_path / "env"
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_CA", "another's")
    assert run_command(python(TELL, told), tls=True) == 0
    assert json.loads(told.read_text())["LLM_SYNC_SIMULATOR_CA"].endswith(".pem")
    assert run_command(python(TELL, told)) == 0
    assert "LLM_SYNC_SIMULATOR_CA" not in json.loads(told.read_text())


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_exit_status_is_the_commands(status):
    """The exit status of the command is returned."""
    assert run_command(python(f"raise SystemExit({status})")) == status


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_death_by_signal_is_128_and_its_number(number):
    """A command that a signal ended has status 128 plus its number."""
    reset = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL)"
    assert run_command(python(f"{reset}; os.kill(os.getpid(), {int(number)})")) == 128 + number


@POSIX
@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["no-such-command-anywhere"], 127, "there is no such command"),
        (["/"], 126, "permission denied"),
        (["a\0b"], 126, "null byte"),
    ],
)
def test_commands_that_cannot_run(argv, status, said):
    """A command that cannot be run gives 127 or 126 and a reason, and leaves nothing behind."""
    heard = []
    assert run_command(argv, report=heard.append) == status
    assert said in heard[0]


@POSIX
def test_files_that_cannot_run(tmp_path):
    """Files that are not executable, have no known format or name a missing interpreter give 126 or 127."""
    for name, text, mode, status in (
        ("plain", "echo\n", 0o600, 126),
        ("format", "\x01\x02", 0o700, 126),
        ("gone", "#!/no/such/interpreter\n", 0o700, 127),
    ):
        file = tmp_path / name
        file.write_text(text)
        file.chmod(mode)
        assert run_command([str(file)], report=lambda message: None) == status


def test_no_command_is_a_value_error():
    """An empty command is a ValueError."""
    with pytest.raises(ValueError, match="no command"):
        run_command([])


@POSIX
def test_folder_is_removed_when_nothing_ran(monkeypatch, tmp_path):
    """The temporary folder is removed if the command does not start, too."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run_command(["no-such-command-anywhere"], report=lambda message: None)
    assert list(tmp_path.iterdir()) == []


WAITING = """
import signal, sys, time
def told(number, frame):
    print("child got", number, flush=True)
    raise SystemExit(5)
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), told)
print("ready", flush=True)
time.sleep(30)
"""


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(number, tmp_path):
    """Without a terminal, signals are forwarded to the command, its status is returned, and the folder is removed."""
    code = "import sys; from llm_sync.simulator.command import run_command; sys.exit(run_command(sys.argv[1:]))"
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-c", code, *python(WAITING)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ, start_new_session=True) as parent:
        assert parent.stdout.readline() == "ready\n"
        parent.send_signal(number)
        assert parent.stdout.readline() == f"child got {int(number)}\n"
        assert parent.wait(10) == 5
    assert list(tmp_path.iterdir()) == []


TERMINAL = """
import os, sys
from llm_sync.simulator.command import run_command
sys.exit(run_command(sys.argv[1:]))
"""
COUNTING = """
import os, signal
awaited = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
heard = 0
os.write(1, b"ready;")
while signal.sigwait(awaited) == signal.SIGINT:  # of two that are pending, the lower number first
    heard += 1
    os.write(1, b"told;")
os.write(1, b"heard %d;" % heard)
"""


@POSIX
def test_ctrl_c_at_a_terminal_reaches_the_command_once():
    """At a terminal, SIGINT is not forwarded, because the terminal has already sent it to the command."""
    import pty

    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", TERMINAL, *python(COUNTING)])  # noqa: S606
    received = b""

    def read_until(word):
        nonlocal received
        while word not in received:
            received += os.read(terminal, 1000)

    try:
        read_until(b"ready;")
        os.kill(child, signal.SIGSTOP)  # it hears of Ctrl-C only when the command has dealt with it: two would not merge
        os.write(terminal, b"\x03")
        read_until(b"told;")
        # SIGTERM is passed on, and lower numbers come first everywhere: a second SIGINT would be counted before it
        os.kill(child, signal.SIGTERM)
        os.kill(child, signal.SIGCONT)
        read_until(b"heard 1;")  # with another count the terminal closes first, which is an OSError
    except BaseException:
        os.close(terminal)  # hangs up on both processes
        os.waitpid(child, 0)
        raise
    status = os.waitpid(child, 0)[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_are_put_back():
    """Signal handlers are restored; in another thread the command runs without handlers."""
    before = signal.getsignal(signal.SIGTERM)
    statuses = [run_command(python("pass"))]
    thread = threading.Thread(target=lambda: statuses.append(run_command(python("raise SystemExit(3)"))))
    thread.start()
    thread.join(20)
    assert statuses == [0, 3]
    assert signal.getsignal(signal.SIGTERM) is before


@POSIX
def test_signal_before_the_command_is_there_reaches_it(monkeypatch):
    """A signal that arrives while the command is being started is forwarded to it."""
    start = subprocess.Popen

    def signalled(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return start(*arguments, **options)

    monkeypatch.setattr("llm_sync.runtime.child_command.subprocess.Popen", signalled)
    assert run_command(python("import signal; signal.pause()")) == 128 + signal.SIGTERM


@POSIX
def test_simulator_threads_take_no_signals(monkeypatch):
    """The simulator's threads block signals, so that the main thread gets them."""
    masks = []
    start = Simulator.start

    def starting(simulator):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return start(simulator)

    monkeypatch.setattr(Simulator, "start", starting)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert run_command(python("pass")) == 0
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= masks[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
