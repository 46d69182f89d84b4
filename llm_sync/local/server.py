"""The process of a local model: runs llama.cpp's server until its parent closes standard input.

``LocalModel`` starts it. Reads its settings as one line of JSON from standard input and writes one line of JSON
to standard output: ``{"address": …}`` when it answers, or ``{"error": …}``. A process of its own, because a crash of native code
or its gigabytes must not be the caller's, and so that a kill of the caller, whatever its kind, ends the server, too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any


def main() -> int:
    """Serve until standard input ends. Returns the exit status."""
    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to the whole group; the parent decides when to stop
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    announcements = _take_standard_output()
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        server = _start(settings)
    except Exception as error:  # noqa: BLE001  # native code raises what it likes; the parent reports it
        _announce(announcements, {"error": f"{type(error).__name__}: {error}"})
        return 1
    _announce(announcements, {"address": server.listening_address})
    sys.stdin.read()
    os._exit(0)  # the server's destructor would wait for requests in work


def _start(settings: dict[str, Any]) -> Any:
    """A started server, which has loaded the model. Settings: as LocalModel passes them."""
    import xllamacpp  # type: ignore[import-not-found,import-untyped,unused-ignore]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = settings["weights"]
    parameters.model_alias = {settings["model"]}
    parameters.n_parallel = settings["parallel"]
    parameters.n_ctx = settings["context"] * settings["parallel"]  # llama.cpp divides it among the requests in work
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = settings["port"]
    parameters.use_jinja = True  # chat templates with tools need it
    parameters.ui = False
    parameters.verbosity = 0
    if settings["api_key"] is not None:
        parameters.api_keys = [settings["api_key"]]
    return xllamacpp.Server(parameters)


def _take_standard_output() -> int:
    """A descriptor of standard output; what native code prints there goes to standard error from now on."""
    announcements = os.dup(1)
    os.dup2(2, 1)
    return announcements


def _announce(descriptor: int, message: dict[str, str]) -> None:
    os.write(descriptor, json.dumps(message).encode() + b"\n")
    os.close(descriptor)
