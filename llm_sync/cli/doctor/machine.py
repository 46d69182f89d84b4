"""This machine: folders, disk space, versions, extras, and the variables that change what llm-sync does."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import stat
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from llm_sync import __version__
from llm_sync.cli import exit_codes
from llm_sync.cli.doctor.findings import FAIL, OK, WARN, Finding
from llm_sync.config import LLMConfig, search_path
from llm_sync.errors import ConfigurationError
from llm_sync.machine import folder as machine_folder

MIN_FREE_BYTES = 100 * 2**20
_EXTRAS = {
    "schema": "jsonschema",
    "google": "google.auth",
    "bedrock": "botocore",
    "simulate": "trustme",
    "prices": "genai_prices",
    "otel": "opentelemetry.sdk",
    "report": "jinja2",
    "xlsx": "xlsxwriter",
    "parquet": "pyarrow",
    "numpy": "numpy",
    "dask": "distributed",
    "local": "xllamacpp",
}
_GROUP_AND_OTHERS = 0o077
_SHIMS = ("openai", "anthropic", "litellm")
# What others than llm-sync read too, and what it does about them.
_VARIABLES = {
    "REQUESTS_CA_BUNDLE": "certificates are checked with it",
    "CURL_CA_BUNDLE": "certificates are checked with it, unless REQUESTS_CA_BUNDLE is set",
    "SSL_CERT_FILE": "certificates are checked with it, unless one of the former is set",
    "OPENAI_BASE_URL": "used without a configuration, and by scripts for the package openai; a configuration has base_url",
    "PYTHONHTTPSVERIFY": "it has no effect: certificates are always checked",
    "NO_COLOR": "messages have no colour",
}


def check(config: LLMConfig | None) -> Iterator[Finding]:
    """All lines."""
    disks: set[int] = set()  # those that were looked at: most folders share one
    yield from _runtime_folder(config, disks)
    yield from _folders(disks)
    yield from _history()
    yield from _environment()
    yield from _versions()


def _runtime_folder(config: LLMConfig | None, disks: set[int]) -> Iterator[Finding]:
    path, problem = machine_folder.examine_runtime_folder()
    if problem is None:
        yield Finding(OK, "folder", path, "private, for what processes of this machine share")
        yield from _space(path, disks)
        return
    shared = [name for name, provider in (config.providers if config else {}).items() if provider.machine_wide]
    hint = f"Set {machine_folder.VARIABLE} to the absolute path of a folder of your own."
    if shared:
        message = f"the runtime folder {problem}, and {', '.join(shared)} need{'s' * (len(shared) == 1)} it (machine_wide)"
        yield Finding(FAIL, "folder", path, message, hint, exit_codes.CONFIGURATION)
    else:
        yield Finding(WARN, "folder", path, f"the runtime folder {problem}: 'llm-sync status' shows nothing", hint)


def _folders(disks: set[int]) -> Iterator[Finding]:
    own = [os.fspath(path) for path in search_path.user_folder()]
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "llm-sync")
    state = [(path, "your ledger, conversations and trusted configurations") for path in _state_folder()]
    for path, what in [*((path, "your configurations") for path in own), (cache, "what is stored between runs"), *state]:
        existing = _nearest(path)
        if not os.path.isdir(existing):
            yield Finding(WARN, "folder", path, f"it is no folder, so {what} cannot be there", "Remove what has its name.")
        elif existing == path and not os.access(path, os.R_OK | os.X_OK):
            yield Finding(WARN, "folder", path, f"this user may not read it, so {what} are not found", f"chmod u+rwx {path}")
        elif not os.access(existing, os.W_OK | os.X_OK):
            yield Finding(WARN, "folder", path, f"this user may not write there, so {what} cannot be saved")
        else:
            yield Finding(OK, "folder", path, what if existing == path else f"for {what}; it does not exist yet")
        yield from _space(existing, disks)


def _nearest(path: str) -> str:
    while path and not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _state_folder() -> list[str]:
    from platformdirs import user_state_dir

    try:
        folder = user_state_dir("llm-sync", appauthor=False)
    except (OSError, RuntimeError):
        return []
    return [folder] if os.path.isabs(folder) else []


def _history() -> Iterator[Finding]:
    """Conversations are kept in folders that are this user's alone, or not at all."""
    from llm_sync.history.folder import folder_of_user

    with contextlib.suppress(OSError, ConfigurationError):
        path = folder_of_user(simulated=False)
        status = os.lstat(path)
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            yield Finding(WARN, "folder", path, f"it belongs to another user (uid {status.st_uid}): no conversation is kept")
        elif os.name == "posix" and status.st_mode & _GROUP_AND_OTHERS:
            message = f"it is open to others (mode {stat.S_IMODE(status.st_mode):o}): no conversation is kept"
            yield Finding(WARN, "folder", path, message, f"chmod 700 {path}")


def _space(path: str, disks: set[int]) -> Iterator[Finding]:
    try:
        path = _nearest(path)
        disk, free = os.stat(path).st_dev, shutil.disk_usage(path).free
    except OSError:
        return
    if disk in disks:
        return
    disks.add(disk)
    if free < MIN_FREE_BYTES:
        level = FAIL if free < 2**20 else WARN
        status = exit_codes.CONFIGURATION if level == FAIL else 0
        yield Finding(level, "disk", path, f"only {free // 2**20} MiB are free", "Free some space.", status)


def _environment() -> Iterator[Finding]:
    for name in sorted(os.environ):
        if name.startswith("LLM_SYNC_"):
            yield Finding(OK, "environment", f"${name}", "is set")
    for name, effect in _VARIABLES.items():
        value = os.environ.get(name)
        if value is None:
            continue
        if name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") and not os.path.exists(value):
            hint = f"Correct {name}, or unset it."
            yield Finding(FAIL, "environment", f"${name}", "it names a file that does not exist", hint, exit_codes.CONFIGURATION)
            continue
        level = WARN if effect.startswith("it ") else OK
        yield Finding(level, "environment", f"${name}", effect)


def _versions() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding(OK, "version", f"llm-sync {__version__}", python)
    for name in ("requests", "urllib3", "tenacity", "PyYAML", "Cerberus", "certifi"):
        try:
            yield Finding(OK, "version", name, metadata.version(name))
        except metadata.PackageNotFoundError:  # noqa: PERF203
            yield Finding(FAIL, "version", name, "is not installed", "pip install --force-reinstall llm-sync", 3)
    there = [extra for extra, module in _EXTRAS.items() if _is_installed(module)]
    missing = [extra for extra in _EXTRAS if extra not in there]
    yield Finding(OK, "extras", ", ".join(there) or "none", f"not installed: {', '.join(missing) or 'none'}")
    packages = [name for name in _SHIMS if _is_installed(name)]
    text = "scripts for openai, anthropic and litellm run with 'llm-sync run-script'"
    yield Finding(OK, "shims", ", ".join(packages) or "no original package is installed", text)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
