"""Running a script as Python would, with the originals' names redirected to the shims."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from importlib.machinery import BuiltinImporter, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from llm_sync.compat.redirect import finder
from llm_sync.compat.redirect.script_names import report_unsupported
from llm_sync.compat.shim import notices

_END_OF_ZIP, _END_OF_ZIP_WITHIN = b"PK\x05\x06", 22 + 65535  # the last record of a zip file, which a comment may follow
NOT_FOUND, UNEXPECTED, INTERRUPTED = 2, 1, 130  # exit statuses; Python itself ends with 2 for a script it cannot open


def run(script: str, arguments: Sequence[str], only: Sequence[str] = (), *, whole_tracebacks: bool = False) -> int:
    """Run the file ``script`` (a folder or a zip file with a ``__main__.py`` too, or ``-`` for standard input) as
    ``__main__`` and return its exit status.

    ``only``: the originals to redirect (default: all). The first import of each is reported on standard error. An uncaught
    exception is printed as Python prints it, of the shims' exceptions the script's own part unless ``whole_tracebacks``; SIGINT
    and SIGTERM have Python's handlers.

    Changes ``sys.argv``, ``sys.path`` and ``sys.modules`` permanently: use it as the last action of a process.
    """
    try:
        code, folder, file, loader = _compile_script(script)
    except OSError as error:
        sys.stderr.write(f"llm-sync: the script {script!r} cannot be read: {error.strerror or error}\n")
        return NOT_FOUND
    except (SyntaxError, ValueError):
        traceback.print_exc(limit=0)
        return UNEXPECTED
    finder.install(only or finder.ORIGINALS, partial(_report, code))
    sys.argv = [script, *arguments]
    if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, folder)
    main = ModuleType("__main__")
    main.__dict__.update({"__builtins__": builtins, "__file__": file, "__cached__": None, "__loader__": loader})
    sys.modules["__main__"] = main
    _restore_default_signals()
    return _status(code, main.__dict__, whole_tracebacks)


def _compile_script(script: str) -> tuple[CodeType, str, str, Any]:
    """The script's code, the folder that Python would put first on ``sys.path``, its ``__file__`` and its loader.

    ``__file__`` is absolute, as in Python: scripts change folders and then look for files beside themselves.
    """
    if script == "-":
        return compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True), "", "<stdin>", BuiltinImporter
    path = script if os.path.isabs(script) else os.path.join(os.getcwd(), script)
    if os.path.isdir(path):
        folder, path = path, os.path.join(path, "__main__.py")
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, "it is a folder without a __main__.py")
    else:
        folder = os.path.dirname(os.path.realpath(path))
    with io.open_code(path) as file:
        content = file.read()
    if _END_OF_ZIP in content[-_END_OF_ZIP_WITHIN:]:  # at the end of the file, because zipapps may begin with a #! line
        import zipimport

        try:
            archive = zipimport.zipimporter(path)
            return archive.get_code("__main__"), path, os.path.join(path, "__main__.py"), archive
        except zipimport.ZipImportError as error:
            raise OSError(errno.ENOEXEC, f"as a zip file with a __main__.py: {error}") from error
    return compile(content, path, "exec", dont_inherit=True), folder, path, SourceFileLoader("__main__", path)


def _restore_default_signals() -> None:
    """Replace the command line's handlers of SIGINT, SIGTERM and SIGHUP by Python's own."""
    usual: dict[str, Any] = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    try:
        for name, handler in usual.items():
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)
    except ValueError:  # not in the main thread, in a test
        return


def _status(code: CodeType, names: dict[str, Any], whole_tracebacks: bool) -> int:
    try:
        exec(code, names)  # noqa: S102  (running the script is the purpose)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)  # noqa: T201  (as Python does)
        return UNEXPECTED
    except BaseException as error:  # noqa: BLE001  (any exception ends the script; Python would print it)
        own = error.__traceback__.tb_next if error.__traceback__ else None  # without the frame of this function
        error.__traceback__ = own
        if not whole_tracebacks and sys.excepthook is sys.__excepthook__:  # another one may want to know all
            from llm_sync.compat.redirect.script_traceback import shorten  # only now: most scripts fail in no request

            shorten(error)
        sys.excepthook(type(error), error, error.__traceback__)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else UNEXPECTED
    return 0


def _report(script: CodeType, original: str) -> None:
    notices.notify(f"import {original} finds llm_sync.compat.{original}")
    report_unsupported(script, original)
