"""llm-sync trust, and what the commands do with a configuration from the working folder that is not trusted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.simulator import Simulator

Run = Callable[..., Any]
PATH = Path("config/llms/default-llms.yaml")
KEY = "sk-users-own-key-0123456789"
HOSTILE = """
defaults: {{model: evil/x, max_retries: 0}}
providers:
  evil: {{type: openai, base_url: "{url}", api_key: "${{OPENAI_API_KEY}}", models: [x]}}
  cmd: {{type: openai, base_url: "{url}", api_key_command: [sh, -c, "touch {mark}; echo sk-abcdefgh12345"], models: [y]}}
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that the configuration's key command would create."""
    return tmp_path / "pwned"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Simulator, mark: Path) -> Path:
    """The working folder, somebody else's repository with a configuration; the user has a home of their own and a key."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("LLM_SYNC_CONFIG", "LLM_SYNC_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    folder = tmp_path / "repository"
    (folder / PATH).parent.mkdir(parents=True)
    (folder / PATH).write_text(HOSTILE.format(url=provider.url("openai"), mark=mark))
    monkeypatch.chdir(folder)
    return folder


USES = {
    "generate": ["generate", "hi"],
    "generate with the command": ["generate", "-m", "cmd/y", "hi"],
    "generate by name": ["generate", "--config", "default-llms", "hi"],
    "models": ["models"],
    "batch": ["batch", "in.jsonl", "-o", "out.jsonl"],
    "batch dry run": ["batch", "in.jsonl", "-o", "out.jsonl", "--dry-run"],
    "validate online": ["validate", "--online"],
    "run-script": ["run-script", "--config", "default-llms", "script.py"],
}
LOOKS = {"validate": ["validate"], "show": ["show"], "configs": ["configs"], "validate the file": ["validate", "--no-env"]}


@pytest.fixture
def files(repository: Path) -> None:
    """What the commands read."""
    (repository / "in.jsonl").write_text('{"prompt": "hi"}\n')
    (repository / "script.py").write_text("import openai; openai.OpenAI().models.list()\n")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("words", USES.values(), ids=USES)
def test_an_untrusted_configuration_is_refused(llm: Run, provider: Simulator, mark: Path, words: list[str]) -> None:
    """Nothing is sent, no command runs, status 3; the refusal lists what needs trust and the three ways to go on."""
    ran = llm(*words)
    assert (ran.status, provider.requests, mark.exists()) == (3, [], False)
    wording = " ".join((ran.out + ran.err).split())
    assert f"{PATH}:4: providers.evil.api_key: sends the variable OPENAI_API_KEY" in wording
    assert f"{PATH}:5: providers.cmd.api_key_command: runs a command" in wording
    for way in (f"llm-sync trust {PATH}", f"--config {PATH}", "LLM_SYNC_CONFIG_DIR"):
        assert way in wording
    assert KEY not in wording


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("words", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("trusted", [False, True])
def test_looking_at_a_configuration_runs_nothing(
    llm: Run, provider: Simulator, mark: Path, words: list[str], trusted: bool
) -> None:
    """validate, show and configs send nothing and run no command, with trust or without; without, they say so."""
    if trusted:
        assert llm("trust").status == 0
    ran = llm(*words)
    assert (ran.status, provider.requests, mark.exists()) == (0, [], False)
    assert ("trusted" in ran.out) is not trusted


@pytest.mark.usefixtures("repository")
def test_validate_reads_no_key_file_without_trust(llm: Run, tmp_path: Path) -> None:
    """Only the configuration itself is read; with trust a key file is checked, here one that others may read."""
    (tmp_path / "private").write_text("sk-0123456789abcdef")
    (tmp_path / "private").chmod(0o644)
    PATH.write_text(f"providers: {{openai: {{api_key_file: {tmp_path / 'private'}}}}}\n")
    ran = llm("validate")
    assert (ran.status, "reads a file as the key" in ran.out, "chmod 600" in ran.out) == (0, True, False)
    llm("trust")
    ran = llm("validate")
    assert (ran.status, "chmod 600" in ran.out) == (3, True)


@pytest.mark.usefixtures("repository")
def test_validate_online_runs_no_key_command(llm: Run, provider: Simulator, mark: Path) -> None:
    """A provider with a key command is left out and named; the others are asked."""
    llm("trust")
    ran = llm("validate", "--online")
    assert "providers.cmd: not asked, because validate runs no api_key_command; 'llm-sync models' does" in ran.out
    assert ("evil: answers" in ran.out, "cmd: answers" in ran.out, mark.exists()) == (True, False, False)
    assert len(provider.requests) == 1


@pytest.mark.usefixtures("repository")
def test_trust_is_given_once(llm: Run, provider: Simulator, mark: Path) -> None:
    """trust prints the path, and on standard error what it allows; from then on the configuration is used as it is."""
    ran = llm("trust")
    assert (ran.status, ran.out) == (0, f"{PATH.absolute()}\n")
    assert f"{PATH}:5: providers.cmd.api_key_command: runs a command" in ran.err
    assert not mark.exists()
    assert llm("generate", "hi").status == 0
    assert llm("generate", "-m", "cmd/y", "hi").status == 0
    assert mark.exists()
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("name", [[], ["default-llms"], [str(PATH)], [f"./{PATH}"]])
def test_the_file_may_be_named_in_any_way(llm: Run, name: list[str]) -> None:
    """By no name, its name, or its path, as the refusal prints it."""
    assert llm("trust", *name).status == 0
    assert llm("generate", "hi").status == 0


@pytest.mark.usefixtures("repository")
def test_a_change_ends_the_trust(llm: Run) -> None:
    """Trust holds for one content; the refusal says that it was changed, and so does --list."""
    llm("trust")
    PATH.write_text(PATH.read_text() + "# one more line\n")
    ran = llm("generate", "hi")
    assert (ran.status, "was changed since you trusted it" in ran.err) == (3, True)
    assert "(changed, recorded " in llm("trust", "--list").out
    llm("trust")
    assert llm("generate", "hi").status == 0


@pytest.mark.usefixtures("repository")
def test_a_copy_is_not_trusted(llm: Run) -> None:
    """Trust holds for one path."""
    llm("trust")
    (PATH.parent / "other.yaml").write_text(PATH.read_text())
    assert llm("generate", "--config", "other", "hi").status == 3


@pytest.mark.usefixtures("repository")
def test_trust_is_revoked(llm: Run) -> None:
    """--revoke works again and again, and after the file is gone."""
    llm("trust")
    ran = llm("trust", "--revoke", str(PATH))
    assert (ran.status, ran.out, "no longer trusted" in ran.err) == (0, f"{PATH.absolute()}\n", True)
    assert llm("generate", "hi").status == 3
    assert "was not trusted" in llm("trust", "--revoke").err
    llm("trust")
    PATH.unlink()
    assert llm("trust", "--list").out.startswith(f"{PATH.absolute()}  (missing, recorded ")
    assert json.loads(llm("trust", "--revoke", "--json", str(PATH)).out) == {"path": str(PATH.absolute()), "revoked": True}
    assert llm("trust", "--list") == (0, "", "llm-sync: no configuration is trusted\n")


@pytest.mark.usefixtures("repository")
def test_records_for_programs(llm: Run) -> None:
    """--json prints one object for each file."""
    given = json.loads(llm("trust", "--json").out)
    assert (given["path"], given["state"], len(given["digest"])) == (str(PATH.absolute()), "trusted", 64)
    assert [need["field"] for need in given["needs"]] == ["providers.evil.api_key", "providers.cmd.api_key_command"]
    (listed,) = map(json.loads, llm("trust", "--list", "--json").out.splitlines())
    assert listed == {name: given[name] for name in ("path", "state", "digest", "recorded")}


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("how", ["--config", "--config-dir", "LLM_SYNC_CONFIG_DIR", "LLM_SYNC_CONFIG"])
def test_a_configuration_that_the_user_names_needs_no_trust(llm: Run, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By path or by folder, on the command line or in the environment."""
    words = {"--config": [how, str(PATH)], "--config-dir": [how, str(PATH.parent)]}.get(how, [])
    if not words:
        monkeypatch.setenv(how, str(PATH if how == "LLM_SYNC_CONFIG" else PATH.parent))
    assert llm("generate", *words, "hi").status == 0


@pytest.mark.usefixtures("repository")
def test_a_harmless_configuration_needs_no_trust(llm: Run) -> None:
    """The host of the dialect with its usual key: nothing is recorded."""
    PATH.write_text("defaults: {model: openai/gpt-4o-mini}\nproviders: {openai: {models: [gpt-4o-mini]}}\n")
    ran = llm("trust")
    assert (ran.status, "needs no trust" in ran.err) == (0, True)
    assert llm("trust", "--list").out == ""
    assert "trust" not in llm("validate").out


def test_the_users_own_configuration_needs_no_trust(llm: Run, repository: Path, tmp_path: Path) -> None:
    """Where the working folder has none, the user's own is what would be used."""
    own = tmp_path / "home" / "llm-sync" / "default-llms.yaml"
    own.parent.mkdir(parents=True)
    own.write_text((repository / PATH).read_text())
    (repository / PATH).unlink()
    ran = llm("trust")
    assert (ran.status, "was not found in the working folder" in ran.err) == (0, True)
    assert llm("generate", "hi").status == 0


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["nope"], 3, "no configuration named 'nope'"),
        (["./nope.yaml"], 3, "cannot be read: No such file"),
        (["./text.yaml"], 3, "is not a configuration"),
        (["./pipe.yaml"], 3, "is not a regular file"),
        (["--list", "x"], 2, "--list takes no configuration"),
        (["--list", "--revoke"], 2, "not allowed with"),
        ([""], 2, "it is empty"),
    ],
)
def test_what_cannot_be_trusted(llm: Run, words: list[str], status: int, why: str) -> None:
    """A message, no record, and no wait for a pipe."""
    Path("text.yaml").write_text("just text\n")
    os.mkfifo("pipe.yaml")
    ran = llm("trust", *words)
    assert (ran.status, ran.out, why in ran.err) == (status, "", True)
    assert llm("trust", "--list").out == ""
