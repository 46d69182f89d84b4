"""Implementation of ``llm-sync local``: serve a model until stopped, or run one command that asks it."""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llm_sync.local.model import LocalModel
from llm_sync.runtime.child_command import run_child, with_direct_loopback

KEY_VARIABLE = "LLM_SYNC_LOCAL_KEY"


def serve(ready: Callable[[LocalModel], None], *, model: str | None, port: int, until: threading.Event | None = None) -> None:
    """Serve without a key until ``until`` is set or KeyboardInterrupt is raised; call ``ready`` once the model is loaded.

    Raises as LocalModel.start.
    """
    until = until or threading.Event()
    with LocalModel(model, port=port) as local:
        ready(local)
        while not until.wait(0.5):  # on Windows, a wait without a timeout cannot be interrupted
            pass


def run_command(argv: Sequence[str], *, model: str | None, port: int, environ: Mapping[str, str] | None = None) -> int:
    """Run ``argv`` with a configuration that points at a model of its own. Returns its exit status, as run_child does.

    The server takes a key made for this run alone. Raises as LocalModel.start, before ``argv`` is run.
    """
    key = f"sk-local-{secrets.token_hex(16)}"
    with LocalModel(model, port=port, api_key=key) as local, tempfile.TemporaryDirectory(prefix="llm-sync-local-") as folder:
        return run_child(argv, environment(local, Path(folder), os.environ if environ is None else environ))


def environment(local: LocalModel, folder: Path, outer: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment ``outer`` in which llm-sync asks the model: its configuration is written into ``folder``.

    A command that names another configuration uses that one.
    """
    (folder / "default-llms.yaml").write_text(local.configuration(key_variable=KEY_VARIABLE), "utf-8")
    changed = with_direct_loopback(outer)
    changed.pop("LLM_SYNC_CONFIG", None)
    return changed | {"LLM_SYNC_CONFIG_DIR": str(folder), KEY_VARIABLE: local.api_key or ""}
