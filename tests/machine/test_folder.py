"""The runtime folder: where it is, and that it is private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.machine import folder
from llm_sync.machine.folder import SharedDirectory, private_folder, runtime_folder


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which no variable names a folder."""
    monkeypatch.delenv("LLM_SYNC_RUNTIME_DIR")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return monkeypatch


def mode(path: str | Path) -> int:
    """The permission bits of a path."""
    return stat.S_IMODE(os.stat(path).st_mode)


def refusal(path: str | Path) -> str:
    """The message with which a path is refused."""
    with pytest.raises(ConfigurationError) as caught:
        private_folder(str(path))
    assert "LLM_SYNC_RUNTIME_DIR" in str(caught.value.guidance)
    return str(caught.value)


def test_the_variable_names_it(runtime: Path) -> None:
    """$LLM_SYNC_RUNTIME_DIR names it; it is created with mode 0700."""
    assert runtime_folder() == str(runtime)
    assert mode(runtime) == 0o700


def test_a_tilde_is_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tilde in the variable is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", "~/run")
    assert runtime_folder() == str(tmp_path / "run")


def test_a_relative_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is refused: it would be another folder for each process."""
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", "run")
    with pytest.raises(ConfigurationError, match="'run' is not an absolute path"):
        runtime_folder()
    assert not os.path.exists("run")


def test_the_session_s_folder_comes_next(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the variable it is in $XDG_RUNTIME_DIR, if that is private and this user's."""
    session = tmp_path / "session"
    session.mkdir(0o700)
    nothing_set.setenv("XDG_RUNTIME_DIR", str(session))
    assert runtime_folder() == str(session / "llm-sync")
    assert mode(session / "llm-sync") == 0o700


@pytest.mark.parametrize("trouble", ["accessible to others", "another user's", "missing", "relative", "a NUL"])
def test_a_session_folder_that_is_not_private_is_not_used(nothing_set: pytest.MonkeyPatch, tmp_path: Path, trouble: str) -> None:
    """A session folder that is not private or belongs to another user, as under sudo, is not used."""
    session = tmp_path / "session"
    session.mkdir(0o755 if trouble == "accessible to others" else 0o700)
    given = {"missing": f"{session}/none", "relative": "session"}.get(trouble, str(session))
    session_folder = folder._session_folder
    if trouble == "another user's":
        me = os.geteuid()
        nothing_set.setattr("os.geteuid", lambda: me + 1)
    nothing_set.setattr("os.environ", {**os.environ, "XDG_RUNTIME_DIR": "\0" if trouble == "a NUL" else given})
    nothing_set.setattr("llm_sync.machine.folder._LOGIN_SESSIONS", str(tmp_path / "no-sessions"))
    assert session_folder() is None


def test_cron_finds_the_session_s_folder(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without $XDG_RUNTIME_DIR, as under cron, systemd's session folder is used, like in a terminal."""
    sessions = tmp_path / "user"
    (sessions / str(os.geteuid())).mkdir(parents=True, mode=0o700)
    nothing_set.setattr("llm_sync.machine.folder._LOGIN_SESSIONS", str(sessions))
    assert runtime_folder() == str(sessions / str(os.geteuid()) / "llm-sync")


def test_without_a_session_it_is_in_tmp(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a session it is llm-sync-UID in /tmp, whatever $TMPDIR says, which differs between processes."""
    nothing_set.setattr("llm_sync.machine.folder._LOGIN_SESSIONS", str(tmp_path / "no-sessions"))
    nothing_set.setattr("llm_sync.machine.folder._TEMPORARY", str(tmp_path))
    nothing_set.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    assert runtime_folder() == str(tmp_path / f"llm-sync-{os.geteuid()}")
    assert mode(runtime_folder()) == 0o700


def test_a_link_is_refused(tmp_path: Path) -> None:
    """A link is refused: it could lead anywhere."""
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert "is a link" in refusal(tmp_path / "link")


def test_a_link_does_not_hide_behind_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is refused also if the variable ends in a slash, which would hide it."""
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", f"{tmp_path}/link/")
    with pytest.raises(ConfigurationError, match="is a link"):
        runtime_folder()


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    """A link to a missing folder is refused, and the folder is not created."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refusal(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    """A file at its path or above it is refused."""
    (tmp_path / "file").touch()
    assert "File exists" in refusal(tmp_path / "file")
    assert "Not a directory" in refusal(tmp_path / "file" / "below")


@pytest.mark.parametrize("bits", [0o755, 0o770, 0o701, 0o702])
def test_one_that_is_open_to_others_is_refused(tmp_path: Path, bits: int) -> None:
    """A folder that others can access is refused, and its mode is not changed."""
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(bits)
    assert f"accessible to others (mode {bits:o})" in refusal(path)
    assert mode(path) == bits


def test_another_user_s_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that the variable names, but another user owns, is refused."""
    (tmp_path / "taken").mkdir(0o700)
    me = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: me + 1)
    assert f"belongs to another user (uid {me})" in refusal(tmp_path / "taken")


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_another_user_s_folder_in_the_way_is_passed_by(
    nothing_set: pytest.MonkeyPatch, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If another user created /tmp/llm-sync-UID, the user's cache folder is used, with one warning per process."""
    me = os.geteuid()
    nothing_set.setattr("llm_sync.machine.folder._LOGIN_SESSIONS", str(tmp_path / "no-sessions"))
    nothing_set.setattr("llm_sync.machine.folder._TEMPORARY", str(tmp_path))
    nothing_set.setattr("llm_sync.machine.folder._reported", set())
    nothing_set.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    taken = tmp_path / f"llm-sync-{me}"
    {"folder": taken.mkdir, "file": taken.touch, "link": lambda: taken.symlink_to(tmp_path)}[kind]()
    lstat = os.lstat

    def owned_by_another(path: str) -> os.stat_result:
        status = lstat(path)
        return os.stat_result((*status[:4], me + 1, *status[5:])) if str(path) == str(taken) else status

    nothing_set.setattr("os.lstat", owned_by_another)
    assert {runtime_folder(), runtime_folder()} == {str(tmp_path / "cache" / "llm-sync" / "runtime")}
    assert mode(tmp_path / "cache" / "llm-sync" / "runtime") == 0o700
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(taken) in caplog.text


def test_without_a_variable_the_cache_folder_is_in_the_home_folder(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative $XDG_CACHE_HOME is ignored: it would be another folder for each process."""
    nothing_set.setenv("HOME", str(tmp_path))
    nothing_set.setenv("XDG_CACHE_HOME", "relative")
    assert folder._cache_folder() == str(tmp_path / ".cache")


@pytest.mark.parametrize("path", ["/dev/null/x", "/proc/llm-sync", "/" + "x" * 300, "/nul\0byte"])
def test_an_impossible_path_is_refused(path: str) -> None:
    """An impossible path is refused with the system's reason."""
    refusal(path)


def test_a_system_without_users_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without users, like Windows, is an error that says so."""
    monkeypatch.delattr("os.geteuid")
    with pytest.raises(ConfigurationError, match="flock") as caught:
        runtime_folder()
    assert "Linux or macOS" in str(caught.value.guidance)


def test_equal_identities_share_a_folder(runtime: Path) -> None:
    """Equal identities share a folder below ``providers``, others do not."""
    one, same, other = (SharedDirectory(lambda told=told: told) for told in ("a" * 64, "a" * 64, "b" * 64))  # type: ignore[misc]
    assert one.path() == same.create()
    assert one.path() != other.path()
    assert mode(one.path()) == 0o700
    assert Path(one.path()).parent == runtime / "providers"


def test_the_end_of_a_session_changes_the_folder(nothing_set: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When logout removes the session folder, running processes use the folder that later ones find."""
    sessions = tmp_path / "user"
    session = sessions / str(os.geteuid())
    session.mkdir(parents=True, mode=0o700)
    nothing_set.setattr("llm_sync.machine.folder._LOGIN_SESSIONS", str(sessions))
    nothing_set.setattr("llm_sync.machine.folder._TEMPORARY", str(tmp_path))
    shared = SharedDirectory(lambda: "one")
    assert shared.create() == str(session / "llm-sync" / "providers" / "one")
    session.rename(tmp_path / "away")
    assert shared.create() == str(tmp_path / f"llm-sync-{os.geteuid()}" / "providers" / "one")
    assert SharedDirectory(lambda: "one").path() == shared.path()
    session.mkdir(mode=0o700)
    assert shared.create() == str(session / "llm-sync" / "providers" / "one")


def test_a_folder_that_cannot_be_created_later_is_a_retryable_error(runtime: Path) -> None:
    """If the folder cannot be created after the client was opened, the error is retryable."""
    shared = SharedDirectory(lambda: "one")
    runtime.rmdir()
    runtime.touch()
    with pytest.raises(ConfigurationError, match="File exists") as caught:
        shared.create()
    assert caught.value.retryable
    with pytest.raises(ConfigurationError) as at_once:
        SharedDirectory(lambda: "one")
    assert not at_once.value.retryable
