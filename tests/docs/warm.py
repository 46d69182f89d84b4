"""llm-sync and Python scripts without their start-up: a process that has imported everything forks for each command.

Nine tenths of what a page's commands cost is importing the same modules again, 0.3 s of CPU for each. Here a small program
stands in the PATH under the name of each command; it hands its standard streams, arguments, environment and folder to the
warm process, which forks and runs the command there. What runs is the code of the command; signals and the exit status are
passed on.

    python warm.py serve SOCKET          python warm.py ask SOCKET NAME ARGUMENTS…
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys

_STREAMS = (("stdin", 0, "r", "strict"), ("stdout", 1, "w", "strict"), ("stderr", 2, "w", "backslashreplace"))
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ask(path: str, name: str, arguments: list[str]) -> int:
    """Have a command run; its exit status."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        content = json.dumps([name, arguments, dict(os.environ), os.getcwd()]).encode()
        socket.send_fds(server, [struct.pack("!I", len(content))], [0, 1, 2])
        server.sendall(content)
        (pid,) = struct.unpack("!I", server.recv(4, socket.MSG_WAITALL))
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: os.kill(pid, number))
        answer = server.recv(4, socket.MSG_WAITALL)
    (status,) = struct.unpack("!i", answer)
    if status < 0:  # ended by a signal, so this ends likewise
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return int(status)


def serve(path: str) -> None:
    """Import what commands need, and fork for each until standard input ends."""
    import gc
    import threading

    import llm_sync.batch
    import llm_sync.client.client
    import llm_sync.providers.anthropic.messages
    import llm_sync.providers.gemini.generate_content
    import llm_sync.providers.openai.chat_completions
    import llm_sync.providers.openrouter.chat_completions
    import llm_sync.simulator  # noqa: F401
    from llm_sync.cli.commands import batch, generate, report, simulate  # noqa: F401
    from llm_sync.cli.main import main as cli_main  # noqa: F401

    gc.freeze()  # a collection in a fork would copy every page of what is imported
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who answer are waited for by nobody
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        parent = os.getppid()
        listener.settimeout(1)
        while os.getppid() == parent:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            client.settimeout(None)
            assert threading.active_count() == 1
            if os.fork() == 0:
                listener.close()
                _answer(client)
                os._exit(0)
            client.close()


def _answer(client: socket.socket) -> None:
    """Run one command in a further fork, tell its id and its status; end it when its caller is gone."""
    import threading

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    header, streams, _, _ = socket.recv_fds(client, 4, 3)
    (length,) = struct.unpack("!I", header)
    name, arguments, environment, folder = json.loads(client.recv(length, socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        client.close()
        _become(streams, environment, folder)
        _run(name, arguments)  # ends as programs end
    client.sendall(struct.pack("!I", child))
    for stream in streams:
        os.close(stream)

    def watch() -> None:
        if not client.recv(1):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    _, found = os.waitpid(child, 0)
    client.sendall(struct.pack("!i", -os.WTERMSIG(found) if os.WIFSIGNALED(found) else os.WEXITSTATUS(found)))


def _become(streams: list[int], environment: dict[str, str], folder: str) -> None:
    """Take on what a new process would have been given."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for name, number, mode, errors in _STREAMS:
        stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115  (it lasts as long)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(name: str, arguments: list[str]) -> None:
    if name == "llm-sync":
        from llm_sync.cli.main import main

        sys.argv = [name, *arguments]
        sys.exit(main())
    import runpy

    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    runpy.run_path(arguments[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[2], sys.argv[3], sys.argv[4:]))
