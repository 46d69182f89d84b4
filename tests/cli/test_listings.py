"""configs, show, validate, completion and the bare command: what needs no provider, and --online."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_sync.simulator import Response, Simulator

Run = Callable[..., Any]

GOOD = """\
defaults:
  model: openai/m
  timeout: 30
  max_tokens: 100
providers:
  openai:
    api_key: ${LISTING_KEY}
    default_params: {temperature: 0.5}
    headers: {X-Team: search, X-Api-Token: "${LISTING_TOKEN}", X-Secret: sk-literal-marker}
    models: [m, {name: n, max_tokens: 5, provider_specific: {user: u, api_key: sk-inner-marker}}]
  "my provider":
    type: openai
    base_url: ${LISTING_URL:-http://localhost:1/v1}
    proxy: http://me:sk-proxy-marker@proxy.example.com:3128
    api_key: sk-plain-marker
  anthropic: {}
"""
BAD = "defaults: {temperature: 3}\nproviders:\n  openai: {modles: [m]}\n"
STREAMING = "providers:\n  openai:\n    stream: true\n    models: [m]\n"
MARKERS = ("sk-literal-marker", "sk-inner-marker", "sk-proxy-marker", "sk-plain-marker", "sk-env-marker")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good configuration, a bad one and one that asks for streaming; the one folder there is."""
    for name in [name for name in os.environ if name.startswith("LLM_SYNC_CONFIG") or name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LISTING_KEY", "sk-env-marker")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "config" / "llms"
    made.mkdir(parents=True)
    (made / "default-llms.yaml").write_text(GOOD)
    (made / "bad.yaml").write_text(BAD)
    (made / "streams.yml").write_text(STREAMING)
    (made / "notes.txt").write_text("no configuration")
    return made


def test_a_folder_that_cannot_be_read_is_reported(llm: Run, tmp_path: Path) -> None:
    """It is not as if nothing were in it."""
    (tmp_path / "file").touch()
    ran = llm("--config-dir", str(tmp_path / "file"), "generate", "hi")
    assert ran.status == 3
    assert ran.err.startswith(f"llm-sync: there is no configuration in {tmp_path}/file (which cannot be read: Not a directory). ")


def test_a_configuration_that_the_command_line_does_not_name(llm: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the variable did, or which ones could be."""
    (folder / "default-llms.yaml").rename(folder / "mine.yaml")
    for command in (["generate", "hi"], ["show"], ["models"]):
        ran = llm(*command)
        assert (ran.status, ran.out) == (3, "")
        assert ran.err.endswith(". Name one that exists (bad, mine, streams), or set LLM_SYNC_CONFIG to it.\n")
    monkeypatch.setenv("LLM_SYNC_CONFIG", "nowhere")
    assert "no configuration named 'nowhere' in " in llm("show").err
    assert "(named by $LLM_SYNC_CONFIG)" in llm("show").err
    assert "LLM_SYNC_CONFIG)" not in llm("show", "nowhere").err


# configs -----------------------------------------------------------------------------------------------------------


def test_configs_lists_the_good_and_the_bad(llm: Run, folder: Path) -> None:
    """By folder: which is used when none is named, providers and models, mistakes, streaming warnings with their place."""
    ran = llm("configs")
    assert (ran.status, ran.err) == (0, "")
    warning = "config/llms/streams.yml:3: providers.openai: stream: left out, llm-sync never streams"
    assert ran.out.splitlines() == [
        "config/llms:",
        "  bad: 2 problems, see 'llm-sync validate bad'",
        "  default-llms  (used when none is named)",
        "    openai: m, n",
        "    my provider (openai): any model",
        "    anthropic: any model",
        "    warning: not trusted, see 'llm-sync validate default-llms'",
        "  streams",
        "    openai: m",
        f"    warning: {warning}",
    ]


def test_the_flag_is_the_command(llm: Run, folder: Path) -> None:
    """--list-llm-configs, with the options of configs, and beside no other command."""
    assert llm("--list-llm-configs") == llm("configs")
    assert llm("--list-llm-configs", "--json") == llm("configs", "--json")
    assert llm("--list-llm-configs", "models").status == 2


def test_configs_as_json(llm: Run, folder: Path) -> None:
    """One object a file, with all that is wrong."""
    bad, good, streams = (json.loads(line) for line in llm("configs", "--json").out.splitlines())
    assert [each["name"] for each in (bad, good, streams)] == ["bad", "default-llms", "streams"]
    assert (bad["valid"], bad["file"], len(bad["problems"])) == (False, "config/llms/bad.yaml", 2)
    assert bad["problems"][1] == {
        "file": "config/llms/bad.yaml",
        "line": 3,
        "field": "providers.openai.modles",
        "message": "unknown key",
        "hint": bad["problems"][1]["hint"],
    }
    assert good["providers"]["openai"] == {"type": "openai", "models": ["m", "n"]}
    assert (good["default"], bad["default"]) == (True, False)
    assert len(streams["warnings"]) == 1


def test_the_variable_names_the_default(llm: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$LLM_SYNC_CONFIG, a name or a path, is what is used when none is named."""
    for value in ("streams", "config/llms/streams.yml", str(folder / "streams.yml")):
        monkeypatch.setenv("LLM_SYNC_CONFIG", value)
        defaults = [each["name"] for each in map(json.loads, llm("configs", "--json").out.splitlines()) if each["default"]]
        assert defaults == (["streams"] if not os.path.isabs(value) else [])


def test_one_of_the_same_name_is_hidden(llm: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first folder's is used; the other one is listed with its path."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "streams.yaml").write_text(GOOD)
    monkeypatch.setenv("LLM_SYNC_CONFIG_DIR", str(tmp_path / "first"))
    lines = llm("configs").out.splitlines()
    assert lines[0] == f"{tmp_path}/first:"
    assert "  streams.yml  (hidden by the one above)" in lines


def test_control_characters_of_a_file_are_shown(llm: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML can put an escape into a name; it is refused, and made visible in the message."""
    (folder / "default-llms.yaml").write_text('providers: {openai: {models: ["a\\e[31mb"]}}')
    ran = llm("validate", "default-llms")
    assert ran.status == 3
    assert "control character" in ran.out
    assert "\x1b" not in ran.out


# show --------------------------------------------------------------------------------------------------------------


def test_show_prints_values_and_their_origins(llm: Run, folder: Path) -> None:
    """The file's line, the level it stands on, the default, the dialect; YAML all the same."""
    ran = llm("show")
    assert ran.status == 0
    lines = ran.out.splitlines()
    for line in (
        '  model: "openai/m"  # defaults, line 2',
        "  strict: false  # default",
        '    type: "openai"  # the entry\'s name',
        "    timeout: 30  # defaults, line 3",
        "    deadline: 600.0  # default",
        "    temperature: 0.5  # default_params, line 8",
        '    base_url: "https://api.openai.com/v1"  # of type openai',
        '    base_url: "http://localhost:1/v1"  # line 13',
        '      - name: "n"  # line 10',
        "        max_tokens: 5  # line 10",
        '        provider_specific.user: "u"  # line 10',
        "    models: []  # any: none is listed",
        '    api_key: "${ANTHROPIC_API_KEY}"  # the usual one',
    ):
        assert line in lines, line
    document = yaml.safe_load(ran.out)
    assert list(document["providers"]) == ["openai", "my provider", "anthropic"]


def test_show_hides_what_is_secret(llm: Run, folder: Path) -> None:
    """Keys, credentials in headers, the password of a proxy, parameters named like credentials; references are shown as such."""
    for more in ([], ["--json"]):
        out = llm("show", *more).out
        assert [marker for marker in MARKERS if marker in out] == []
        assert "***" in out
        assert "${LISTING_KEY}" in out
        assert "proxy.example.com" in out


@pytest.mark.parametrize("name", ["code", "sig", "Sig", "auth", "jwt", "sas", "pwd", "x-functions-key", "access_token"])
@pytest.mark.parametrize("place", ["query", "headers", "provider_specific"])
def test_show_hides_values_whose_names_are_those_of_credentials(llm: Run, tmp_path: Path, place: str, name: str) -> None:
    """As the query keys of Azure functions and signed URLs; what is no credential is shown."""
    text = f'providers: {{openai: {{{place}: {{{name}: "sk-plain-marker", api-version: "2024-10-21"}}}}}}\n'
    (tmp_path / "x.yaml").write_text(text)
    ran = llm("show", str(tmp_path / "x.yaml"))
    assert (ran.status, "sk-plain-marker" in ran.out) == (0, False)
    assert f'{place}.{name}: "***"' in ran.out
    assert f'{place}.api-version: "2024-10-21"' in ran.out


def test_show_lists_variables_and_whether_they_are_set(llm: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set, missing, or missing with a default, and what needs each; never the value."""
    printed = [line for line in llm("show").out.splitlines() if line.startswith("#   ")]
    assert printed == [
        "#   LISTING_TOKEN: missing (providers.openai.headers.X-Api-Token)",
        "#   LISTING_URL: missing, its default is used (providers.my provider.base_url)",
        "#   LISTING_KEY: set (providers.openai.api_key)",
        "#   ANTHROPIC_API_KEY: missing (providers.anthropic.api_key)",
    ]


def test_show_as_json(llm: Run, folder: Path) -> None:
    """One object: each value with its field and line."""
    document = json.loads(llm("show", "default-llms", "--json").out)
    assert document["defaults"]["model"] == {"value": "openai/m", "field": "defaults.model", "line": 2}
    openai = document["providers"]["openai"]
    assert openai["values"]["timeout"] == {"value": 30, "field": "defaults.timeout", "line": 3}
    assert openai["values"]["deadline"] == {"value": 600.0, "field": None, "line": None}
    assert openai["models"][1]["max_tokens"] == {"value": 5, "field": "providers.openai.models[1].max_tokens", "line": 10}
    assert document["variables"][0]["set"] is False


@pytest.mark.parametrize(
    ("name", "wording"), [("bad", "2 problems"), ("streems", "Did you mean streams?"), ("./no.yaml", "no such file")]
)
def test_show_of_what_cannot_be_shown(llm: Run, folder: Path, name: str, wording: str) -> None:
    """Status 3 and all that is wrong."""
    ran = llm("show", name)
    assert (ran.status, ran.out) == (3, "")
    assert wording in ran.err


def test_every_example_can_be_shown(llm: Run, folder: Path) -> None:
    """Google Cloud, Azure, key commands: each has values of its own."""
    from llm_sync.config import search_path

    for path in sorted(search_path.examples().glob("*.yaml")):  # type: ignore[union-attr]
        ran = llm("show", str(path))
        assert ran.status == 0, ran.err
        assert yaml.safe_load(ran.out)["providers"]


# validate ----------------------------------------------------------------------------------------------------------


def test_validate_reports_all_problems_of_all_files(llm: Run, folder: Path) -> None:
    """On standard output, one a line; status 3. Where keys lack in several, standard error says how to leave them out."""
    ran = llm("validate")
    assert ran.status == 3
    assert ran.err == "llm-sync: 2 of 3 configurations need keys or variables that are not set; --no-env checks the files only\n"
    assert llm("validate", "default-llms").err == ""
    lines = ran.out.splitlines()
    assert lines[0].startswith("config/llms/bad.yaml:1: defaults.temperature: ")
    assert lines[1].startswith("config/llms/bad.yaml:3: providers.openai.modles: unknown key (did you mean models?")
    assert any("LISTING_TOKEN is not set" in line for line in lines)
    assert "note: config/llms/default-llms.yaml: anthropic cannot be used: ANTHROPIC_API_KEY is not set" in lines
    assert "warning: config/llms/streams.yml:3: providers.openai: stream: left out, llm-sync never streams" in lines
    assert [marker for marker in MARKERS if marker in ran.out] == []


def test_validate_without_the_environment(llm: Run, folder: Path) -> None:
    """--no-env: the files alone; a good one says so."""
    ran = llm("validate", "--no-env", "config/llms/default-llms.yaml")
    assert ran == (0, "config/llms/default-llms.yaml: valid (3 providers, 2 models listed)\n", "")
    assert llm("validate", "--no-env", "default-llms", "config/llms/bad.yaml").status == 3


@pytest.fixture
def unused(folder: Path) -> Path:
    """A configuration that needs one key, which is set, and could use two providers whose keys are not."""
    path = folder / "unused.yaml"
    path.write_text(
        "defaults: {model: openai/m}\n"
        "providers:\n"
        "  openai: {api_key: '${LISTING_KEY}'}\n"
        "  anthropic: {}\n"
        "  gemini: {api_key: '${NOT_SET}', headers: {X-Team: '${TEAM_NOT_SET}'}}\n"
    )
    return path


def test_providers_that_nothing_needs_may_have_no_key(llm: Run, unused: Path) -> None:
    """Each gets a note with its variables; the file is valid."""
    ran = llm("validate", "./config/llms/unused.yaml")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "note: config/llms/unused.yaml: gemini cannot be used: TEAM_NOT_SET and NOT_SET are not set",
        "note: config/llms/unused.yaml: anthropic cannot be used: ANTHROPIC_API_KEY is not set",
        "config/llms/unused.yaml: valid (3 providers, 0 models listed)",
    ]
    record = json.loads(llm("validate", "--json", "./config/llms/unused.yaml").out)
    assert (record["valid"], record["problems"], len(record["notes"])) == (True, [], 2)


@pytest.mark.parametrize("demand", ["--keys", "strict", "default"])
def test_keys_that_are_demanded_must_be_there(llm: Run, unused: Path, demand: str) -> None:
    """By --keys, by a strict configuration, and by the default model."""
    text = unused.read_text()
    if demand == "strict":
        unused.write_text(text.replace("{model:", "{strict: true, model:"))
    if demand == "default":
        unused.write_text(text.replace("openai/m", "anthropic/m"))
    ran = llm("validate", *(["--keys"] if demand == "--keys" else []), "./config/llms/unused.yaml")
    assert ran.status == 3
    assert "providers.anthropic: the environment variable ANTHROPIC_API_KEY is not set" in ran.out
    assert ("NOT_SET is not set (" in ran.out) is (demand != "default")


def test_a_key_that_cannot_be_one_is_a_problem_of_every_provider(llm: Run, unused: Path) -> None:
    """Only a key that is not there may be left for later."""
    unused.write_text(unused.read_text().replace("anthropic: {}", "anthropic: {api_key: sk-xxxx}"))
    ran = llm("validate", "./config/llms/unused.yaml")
    assert ran.status == 3
    assert "providers.anthropic.api_key: the key from api_key" in ran.out


def test_a_structural_mistake_hides_no_streaming_switch(llm: Run, folder: Path) -> None:
    """Both are reported by one run."""
    (folder / "both.yaml").write_text("providers:\n  openai: {stream: true, models: 5}\n  claude: 7\n")
    ran = llm("validate", "--no-env", "both")
    assert ran.status == 3
    assert [line.split(": ")[1] for line in ran.out.splitlines()] == [
        "providers.openai.models",
        "providers.claude",
        "config/llms/both.yaml:2",
    ]
    assert ran.out.splitlines()[-1].endswith("stream: left out, llm-sync never streams")


def test_a_structural_mistake_hides_no_missing_key(llm: Run, folder: Path) -> None:
    """Of the default's provider a problem, of the others a note; with --no-env neither."""
    (folder / "both.yaml").write_text(
        "defaults: {model: openai/a}\nproviders:\n  openai: {api_key: '${NO_SUCH_KEY}', temprature: 1}\n"
        "  anthropic: {api_key: '${NO_OTHER_KEY}'}\n"
    )
    ran = llm("validate", "both")
    assert ran.status == 3
    for text in (
        "both.yaml:3: providers.openai.temprature: unknown key",
        "both.yaml:3: providers.openai.api_key: the environment variable NO_SUCH_KEY is not set",
        "both.yaml: anthropic cannot be used: NO_OTHER_KEY is not set",
    ):
        assert text in ran.out
    assert "NO_SUCH_KEY" not in llm("validate", "--no-env", "both").out


def test_validate_as_json(llm: Run, folder: Path) -> None:
    """One object a configuration."""
    ran = llm("validate", "--json", "--no-env", "bad", "default-llms", "nowhere")
    bad, good, nowhere = (json.loads(line) for line in ran.out.splitlines())
    assert ran.status == 3
    assert (bad["valid"], len(bad["problems"]), good["valid"], good["problems"]) == (False, 2, True, [])
    assert "no configuration named 'nowhere'" in nowhere["problems"][0]["message"]


def test_validate_does_not_load_the_network(folder: Path, environment: Callable[..., dict[str, str]]) -> None:
    """A file of four providers is checked, keys and all, without importing requests."""
    text = (
        "providers:\n"
        "  openai: {api_key: '${LISTING_KEY}', models: [m]}\n"
        "  anthropic: {api_key: '${LISTING_KEY}'}\n"
        "  gemini: {api_key: '${LISTING_KEY}'}\n"
        "  openrouter: {api_key: '${LISTING_KEY}'}\n"
        "  local: {type: openai, base_url: 'http://localhost:1/v1'}\n"
    )
    (folder / "four.yaml").write_text(text)
    code = (
        "import sys; from llm_sync.cli.main import main\n"
        "for command in ('validate', 'show'):\n"
        "    assert main([command, 'four']) == 0\n"
        "assert main(['configs']) == 0\n"
        "print(*{'requests', 'urllib3', 'tenacity', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    env = environment(LISTING_KEY="sk-env-marker", HOME=os.environ["HOME"])
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, ""), done.stderr


@pytest.fixture
def online(folder: Path, provider: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """default-llms is a configuration of one provider that serves m and x, and is to serve m and n. Its folder is named:
    it sends a variable to this machine, which needs trust."""
    monkeypatch.setenv("LLM_SYNC_CONFIG_DIR", str(folder.resolve()))
    url = provider.url("openai")
    (folder / "default-llms.yaml").write_text(
        f"providers: {{openai: {{api_key: '${{LISTING_KEY}}', base_url: '{url}', models: [m, n], max_retries: 0}}}}"
    )
    return folder


def test_validate_online_asks_for_the_models(llm: Run, online: Path, script: Any) -> None:
    """Unknown models are reported before a paid run: status 7."""
    script.listings = [
        Response(200, {"object": "list", "data": [{"id": "m", "object": "model"}, {"id": "x", "object": "model"}]})
    ]
    ran = llm("validate", "--online", "default-llms")
    assert ran.status == 7
    assert ran.out.splitlines()[1:] == [
        "  openai: answers, 2 models",
        "  openai: n is configured, but the provider does not list it",
    ]


@pytest.mark.parametrize(("status", "code"), [(401, 4), (503, 6)])
def test_validate_online_finds_rejected_keys_and_dead_servers(
    llm: Run, online: Path, script: Any, status: int, code: int
) -> None:
    """The provider's error, and its status."""
    script.listings = [Response(status, {"error": {"message": "it fails", "type": "error", "code": None}})]
    ran = llm("validate", "--online", "--json", "default-llms")
    assert ran.status == code
    record = json.loads(ran.out)
    assert (record["valid"], record["online"]["openai"]["error"]["status"]) == (True, status)


def test_no_request_is_made_offline(llm: Run, online: Path, provider: Simulator) -> None:
    """Without --online no provider is asked."""
    assert llm("validate", "default-llms").status == 0
    assert provider.requests == []


# models ------------------------------------------------------------------------------------------------------------


def test_models_grep(llm: Run, config: str, script: Any) -> None:
    """A regular expression for provider/model, in any case; groups without a match are left out."""
    listing = Response(200, {"object": "list", "data": [{"id": id_, "object": "model"} for id_ in ("m", "GPT-x", "gpt-y")]})
    script.listings = [listing] * 6
    assert llm("models", "--config", config, "--grep", "^first/gpt-[xy]$") == (0, "first:\n  GPT-x\n  gpt-y\n", "")
    assert llm("models", "--config", config, "--grep", "zzz") == (0, "", "llm-sync: no model matches 'zzz'\n")
    ran = llm("models", "--config", config, "--json", "--grep", "gpt-x")
    assert [json.loads(line)["models"] for line in ran.out.splitlines()] == [["GPT-x"], ["GPT-x"]]
    assert llm("models", "--config", config, "--grep", "(").status == 2


# The bare command, completions and versions -------------------------------------------------------------------------


def test_the_command_that_a_message_names_works(llm: Run, folder: Path) -> None:
    """Also where --config-dir says where to look."""
    printed = f"see 'llm-sync --config-dir {folder} validate bad'"
    assert printed in llm("--config-dir", str(folder), "configs").out


def test_bare_without_a_configuration(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Three things to do next: a key is enough, a configuration can follow."""
    shutil.rmtree(folder)
    ran = llm()
    assert (ran.status, ran.out) == (2, "")
    steps = [line for line in ran.err.splitlines() if line.startswith(("  1. ", "  2. ", "  3. "))]
    assert steps == [
        "  1. export OPENAI_API_KEY=…",
        '  2. llm-sync generate -m openai/gpt-4o-mini "Say hello"',
        f"  3. llm-sync init {tmp_path}/home/.config/llm-sync",
    ]
    assert 'without a key: llm-sync simulate -- llm-sync generate "Say hello"' in ran.err


def test_a_key_is_enough_to_ask(llm: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Without any configuration, the usual variables make one; -v says so. (The simulator answers for the real host.)"""
    shutil.rmtree(folder)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env-marker")
    with Simulator() as simulator:
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", simulator.root)
        quiet, verbose = (llm("generate", *more, "-m", "openai/gpt-4o-mini", "Say hello") for more in ([], ["-v"]))
        assert [request.model for request in simulator.requests] == ["gpt-4o-mini"] * 2
    assert (quiet.status, verbose.status) == (0, 0)
    words = "no configuration file found: built-in defaults for openai ($OPENAI_API_KEY)"
    assert words in verbose.err
    assert words not in quiet.err


def test_without_key_and_configuration_the_error_says_what_to_do(llm: Run, folder: Path) -> None:
    """How to get a key in, how to get a configuration, and how to try without either."""
    shutil.rmtree(folder)
    ran = llm("generate", "-m", "openai/gpt-4o-mini", "hi")
    assert ran.status == 3
    assert all(words in ran.err for words in ("OPENAI_API_KEY", "llm-sync init", "llm-sync simulate -- "))


def test_a_provider_without_a_key_is_not_asked_elsewhere(llm: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The error names the variable that is missing; status 4, as for every missing key."""
    shutil.rmtree(folder)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env-marker")
    ran = llm("generate", "-m", "anthropic/claude-haiku-4-5", "hi")
    assert (ran.status, ran.out) == (4, "")
    assert "Set ANTHROPIC_API_KEY" in ran.err


def test_bare_with_a_configuration(llm: Run, folder: Path) -> None:
    """Three others."""
    err = llm().err
    assert all(f"  {number}. llm-sync {command}" in err for number, command in enumerate(("configs", "validate", "generate"), 1))


def test_a_command_offers_a_configuration_to_a_terminal(
    llm: Run, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a yes it is created, and the command continues with it."""
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shutil.rmtree(folder)
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    ran = llm("configs", stdin=Terminal("y\n"))
    assert ran.status == 0
    assert "  default-llms  (used when none is named)" in ran.out.splitlines()
    assert (tmp_path / "home/.config/llm-sync/default-llms.yaml").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_command_and_option(llm: Run, shell: str, installed_completions: None) -> None:
    """What the parser has, the shell offers; the script is one its shell takes."""
    from llm_sync.cli.parser import COMMANDS, build_parser

    ran = llm("completion", shell)
    assert ran.status == 0
    assert all(name in ran.out for name in COMMANDS)
    names = {name for action in build_parser().all_actions() for name in action.option_strings if name.startswith("--")}
    assert [name for name in names if name not in ran.out and f"-l {name[2:]}" not in ran.out and name[2:] not in ran.out] == []
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=ran.out, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_say_where_their_instructions_are(llm: Run, shell: str, installed_completions: None) -> None:
    """Not those of the tool that makes them, which names other places than the help does."""
    head = llm("completion", shell).out[:600]
    assert "\n# To install them, see: llm-sync completion --help\n" in head
    assert "Copy this" not in head


def test_bash_completes(llm: Run, installed_completions: None) -> None:
    """A command after two letters, an option of it after three."""
    if not shutil.which("bash"):
        pytest.skip("there is no bash here")
    script = llm("completion", "bash").out
    ask = "\nCOMP_WORDS=(llm-sync {words}); COMP_CWORD={last}; _shtab_llm_sync; echo ${{COMPREPLY[@]}}"
    for words, expected in (("gene", "generate"), ("generate --schem", "--schema"), ("validate --onl", "--online")):
        text = script + ask.format(words=words, last=len(words.split()))
        done = subprocess.run(["bash"], input=text, capture_output=True, text=True, timeout=20, check=False)
        assert done.stdout.split() == [expected], done.stderr


# How a shell is asked for what it would offer: bash and fish as they do it, zsh with its own functions replaced.
ASKED = {
    "bash": 'source "$1"; COMP_WORDS=({words}); COMP_CWORD={last}; _shtab_llm_sync; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'source $argv[2]; complete -C "{words}" | string split -f1 \\t',
    "zsh": "compadd() {{ print -l -- ${{(P)2}} }}; _files() {{ }}; eval \"$(sed '/^typeset -A opt_args/,$d' $1)\"; {function}",
}


@pytest.mark.parametrize("shell", list(ASKED))
def test_shells_offer_configurations_and_models(
    llm: Run, folder: Path, tmp_path: Path, environment: Callable[..., dict[str, str]], installed_completions: None, shell: str
) -> None:
    """Names, beside files, for a configuration; for a model what all of them list. No network is asked."""
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "script").write_text(llm("completion", shell).out)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/llm-sync").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llm_sync "$@"\n')
    (tmp_path / "bin/llm-sync").chmod(0o755)
    environ = environment(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", HOME=str(tmp_path / "home"))

    def offered(words: str, function: str) -> set[str]:
        command = ASKED[shell].format(words=f"llm-sync {words}", last=len(words.split()), function=function)
        done = subprocess.run(
            [shell, "-c", command, "-", str(tmp_path / "script")],
            capture_output=True,
            text=True,
            timeout=50,
            cwd=tmp_path,
            env=environ,
            check=False,
        )
        return set(done.stdout.split())

    assert "bad" in offered("show b", "_llm_sync_configurations")
    assert offered("generate -m openai/", "_llm_sync_models") >= {"openai/m", "openai/n"}
    # What somebody else wrote must not become a command in the line that is completed.
    (folder / "x;touch pwned;$(touch pwned).yaml").write_text(GOOD)
    (folder / "traps.yaml").write_text(
        "providers: {trap: {type: openai, models: ['$(touch pwned)', '`touch pwned`', 'a;b', good]}}"
    )
    models = offered("generate -m trap/", "_llm_sync_models")
    assert "trap/good" in models
    assert not any(character in name for name in models for character in "$`;()")
    if shell == "bash":  # the other two quote what they insert
        assert offered("show x", "_llm_sync_configurations") == set()
    assert not list(tmp_path.rglob("pwned"))


@pytest.fixture
def installed_completions() -> None:
    """They are made when the package is built."""
    from llm_sync import cli

    if not (Path(cli.__file__).parent / "completions").is_dir():
        pytest.skip("the package is not installed: run make test")


def test_versions_of_the_parts(llm: Run) -> None:
    """--version alone is one line; with -v, on either side, the parts too."""
    from llm_sync import __version__

    assert llm("--version") == (0, f"llm-sync {__version__}\n", "")
    lines = llm("-v", "--version").out.splitlines()
    assert lines[0] == f"llm-sync {__version__}"
    assert lines[1].startswith("Python 3.")
    assert llm("--version", "-v").out.splitlines() == lines


@pytest.mark.parametrize("command", ["validate", "show"])
def test_config_names_the_configuration_as_elsewhere(llm: Run, folder: Path, command: str) -> None:
    """As for generate."""
    named = ("--no-env",) if command == "validate" else ()
    assert llm(command, *named, "--config", "default-llms") == llm(command, *named, "default-llms")
    assert llm(command, "--config", "nowhere").status == 3


def test_show_shows_one(llm: Run, folder: Path) -> None:
    """Not the first of two, in silence."""
    ran = llm("show", "default-llms", "--config", "bad")
    assert (ran.status, ran.out) == (2, "")
    assert "two configurations are named" in ran.err


def test_models_are_sorted_within_a_provider(llm: Run, provider: Simulator, config: str) -> None:
    """Whatever order the provider lists them in."""
    listed = llm("models", "--config", config).out.split("second:")[0].splitlines()[1:]
    names = [line.strip().partition(" ")[0] for line in listed if "(configured" not in line]
    assert len(names) > 2
    assert names == sorted(names)
    record = json.loads(llm("models", "--config", config, "--json").out.splitlines()[0])
    assert record["models"] == names
