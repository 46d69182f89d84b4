"""Commands with a configuration of their own, as ``llm-sync simulate`` runs them: nothing is asked elsewhere, no key is read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import ProviderFactory
from llm_sync.providers.openai.chat_completions import OpenAIDialect
from llm_sync.simulator import Simulator

Run = Callable[..., Any]

REAL = "sk-real-0123456789abcdef"
MINE = f"""
defaults: {{model: openai/gpt-4o-mini, max_retries: 0}}
providers:
  openai: {{api_key: {REAL}, models: [gpt-4o-mini]}}
  claude: {{type: anthropic, api_key: "${{NOBODY_SETS_THIS}}", models: [claude-haiku-4-5]}}
  azure: {{type: openai, base_url: "https://${{NOR_THIS}}.openai.azure.com/openai/v1", api_key_command: [touch, ran]}}
"""
NOTICE = "answered by the simulator at {root} (LLM_SYNC_SIMULATOR_URL), not as configured: openai, claude, azure"


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """The path of a configuration of real providers."""
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return str(path)


@pytest.fixture
def simulation(rehearsal: Simulator) -> Simulator:
    """The simulator that the environment variables of ``llm-sync simulate`` name."""
    return rehearsal


@pytest.fixture
def notice(simulation: Simulator) -> str:
    """What a command says about the simulation."""
    return NOTICE.format(root=simulation.root)


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_generate_says_once_that_answers_are_simulated(
    llm: Run, simulation: Simulator, mine: str, notice: str, options: list[str]
) -> None:
    """On standard error, even with --quiet; standard output has the answers only."""
    ran = llm(*options, "generate", "--config", mine, "-m", "openai/gpt-4o-mini", "-m", "claude/claude-haiku-4-5", "Say hello")
    assert (ran.status, ran.err) == (0, f"llm-sync: {notice}\n")
    assert ran.out.count("Say hello") == 2
    assert [record.provider for record in simulation.requests] in (["openai", "anthropic"], ["anthropic", "openai"])
    assert REAL not in repr(simulation.requests)


def test_as_json_it_is_a_line_of_the_log(llm: Run, simulation: Simulator, mine: str, notice: str) -> None:
    """For programs that read standard error."""
    ran = llm("--log-json", "generate", "--config", mine, "Say hello")
    (line,) = map(json.loads, ran.err.splitlines())
    assert (line["level"], line["message"]) == ("warning", notice)


def test_models_are_the_simulators(llm: Run, simulation: Simulator, mine: str, notice: str) -> None:
    """Of every provider."""
    ran = llm("models", "--config", mine)
    assert (ran.status, ran.err) == (0, f"llm-sync: {notice}\n")
    assert {"openai:", "claude:", "azure:"} <= set(ran.out.splitlines())


def test_show_reports_a_simulation_beside_the_values_of_the_file(llm: Run, simulation: Simulator, mine: str, notice: str) -> None:
    """In words and as JSON; every value is the file's."""
    ran = llm("show", mine)
    assert f"# warning: {notice}\n" in ran.out
    assert 'base_url: "https://api.openai.com/v1"  # of type openai' in ran.out
    assert json.loads(llm("show", "--json", mine).out)["warnings"] == [notice]


@pytest.mark.parametrize("online", [[], ["--online"]])
def test_validate_asks_for_no_keys(llm: Run, simulation: Simulator, mine: str, notice: str, online: list[str]) -> None:
    """No key is sent; unset variables in addresses do not matter in a simulation."""
    ran = llm("validate", *online, mine)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"warning: {notice}\n{mine}: valid (3 providers, 2 models listed)\n")
    assert ("azure: answers" in ran.out) is bool(online)
    assert bool(simulation.requests) is bool(online)
    assert json.loads(llm("validate", "--json", mine).out)["warnings"] == [notice]
    assert not Path(mine).with_name("ran").exists()


def test_validate_of_the_files_alone_speaks_of_them_alone(llm: Run, simulation: Simulator, mine: str) -> None:
    """--no-env: what the environment says does not count."""
    assert llm("validate", "--no-env", mine) == (0, f"{mine}: valid (3 providers, 2 models listed)\n", "")


def test_a_dialect_that_the_simulator_does_not_support_is_reported(
    llm: Run, simulation: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By validate and show, and by the run that wants it, with the status of a wrong configuration."""

    class Acme(OpenAIDialect):
        default_base_url = "https://acme.example/v1"

    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    ProviderFactory.register("acme", Acme)
    path = tmp_path / "acme.yaml"
    path.write_text(f"providers: {{openai: {{models: [m]}}, acme: {{api_key: {REAL}}}}}")
    problem = "the simulator does not support provider type 'acme'"
    checked = llm("validate", str(path))
    assert checked.status == 3
    assert f"{path}:1: providers.acme: {problem} (give it a base_url on this machine" in checked.out
    assert problem in llm("show", str(path)).out
    asked = llm("generate", "--config", str(path), "-m", "acme/m", "-m", "openai/m", "x")
    assert (asked.status, asked.out) == (3, "")
    assert problem in asked.err
    assert simulation.requests == []


@pytest.mark.parametrize("command", [["generate", "x", "--config"], ["models", "--config"], ["show"], ["validate"]])
def test_a_variable_that_was_left_behind_sends_nothing_elsewhere(
    llm: Run, mine: str, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Every command refuses it, with what to do."""
    monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", "https://somewhere.example")
    ran = llm(*command, mine)
    assert (ran.status, ran.out) == (3, "")
    assert "LLM_SYNC_SIMULATOR_URL names https://somewhere.example, which is not this machine" in ran.err
    assert "unset it" in ran.err


def test_answers_of_a_simulated_batch_are_not_those_of_a_run(
    llm: Run, simulation: Simulator, mine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulated batch resumes; a real run after it does not take simulated answers for its own."""
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    command = ("batch", "--text", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.jsonl"), "--config", mine)
    ran = llm(*command)
    assert (ran.status, ran.err.count("answered by the simulator")) == (0, 1)
    assert llm(*command).status == 0
    assert len(simulation.requests) == 2
    monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL")
    real = llm(*command)
    assert real.status == 3
    assert f"'{tmp_path / 'out.jsonl'}' holds 2 answers from a simulator" in real.err
    assert "--allow-changed-settings" not in real.err
    assert (llm(*command, "--allow-changed-settings").status, len(simulation.requests)) == (3, 2)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["settings"].partition("-")[0] for line in lines] == ["simulated"] * 2
    assert len(simulation.requests) == 2


def test_status_marks_simulated_commands(llm: Run, simulation: Simulator, mine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the command."""
    names: list[str] = []
    monkeypatch.setattr("llm_sync.cli.client_access.set_process_name", names.append)
    llm("generate", "--config", mine, "x")
    monkeypatch.delenv("LLM_SYNC_SIMULATOR_URL")
    llm("generate", "--config", mine, "-m", "claude/claude-haiku-4-5", "x")  # its key is unset: nothing is sent
    assert names == ["llm-sync generate (simulated)", "llm-sync generate"]


def test_a_dry_run_can_be_simulated(llm: Run, simulation: Simulator, mine: str, tmp_path: Path) -> None:
    """It asks for no key, and sends nothing."""
    (tmp_path / "in.txt").write_text("one\n")
    ran = llm(*("batch", "--text", str(tmp_path / "in.txt"), "-o", str(tmp_path / "o"), "--config", mine, "--dry-run"))
    assert (ran.status, ran.err.count("answered by the simulator"), simulation.requests) == (0, 1, [])


@pytest.mark.parametrize("command", [["spend"], ["cache"], ["cache", "list"]])
def test_commands_that_send_nothing_name_no_simulator(
    llm: Run, simulation: Simulator, mine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Nothing is answered by anybody."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = llm(*command, "--config", mine)
    assert (ran.status, ran.err, simulation.requests) == (0, "", [])


def test_importing_an_output_into_the_cache_names_no_simulator(
    llm: Run, simulation: Simulator, mine: str, tmp_path: Path
) -> None:
    """It prepares the requests of the input, and sends none."""
    (tmp_path / "in.txt").write_text("one\n")
    lines, written = str(tmp_path / "in.txt"), str(tmp_path / "out.jsonl")
    assert llm("batch", "--text", lines, "-o", written, "--config", mine).status == 0
    ran = llm("cache", "import", written, "--dir", str(tmp_path / "c"), "--config", mine, "--input", lines, "--text")
    assert (ran.status, ran.err, len(simulation.requests)) == (0, "", 1)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_command_of_simulate_may_name_its_configuration(
    environment: Callable[..., dict[str, str]], mine: str, tmp_path: Path
) -> None:
    """As a user runs it, with a key accepted, an account of what came, and descriptors that a shell opened for it."""
    command = 'exec "$0" -m llm_sync simulate --accept-key sk-one-0123456789 --log seen.jsonl -- "$0" -m llm_sync '
    command += "batch --text <(printf 'one\\ntwo\\n') -o out.jsonl --config mine.yaml"
    ran = subprocess.run(
        ["bash", "-c", command, sys.executable], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("answered by the simulator") == 1
    records = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert [record["outcome"] for record in records] == ["ok", "ok"]
    assert not (tmp_path / "ran").exists()
