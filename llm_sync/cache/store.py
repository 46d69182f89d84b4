"""A folder of stored answers: one JSON file for each, named by its key, in subfolders of the key's first two digits."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator

from llm_sync.cache import files
from llm_sync.cache.entry import Entry, NewerFormatError, decode, encode
from llm_sync.cache.key import KEY, sample_key
from llm_sync.errors import ConfigurationError
from llm_sync.events import logger
from llm_sync.machine.regular_files import resolve_links
from llm_sync.models import PreparedRequest

SUFFIX = ".json"
_SUBFOLDER = re.compile(r"[0-9a-f]{2}", re.ASCII)

_log = logger("cache")


class Store:
    """The answers in ``folder``. Any number of processes may use it; any thread may call its methods.

    ``owners``: users whose files are read, beside this process's user and root. ``pretty``: write files that people review.
    The folder is created with the first answer. Raises ConfigurationError if ``folder`` leads through a link of another user,
    is not a folder, or belongs to another user.
    """

    def __init__(self, folder: str, *, owners: frozenset[int] = frozenset(), pretty: bool = False) -> None:
        self.owners = owners | {0, os.geteuid()} if hasattr(os, "geteuid") else owners
        self.folder = self._resolve(folder)
        self._start = os.path.join(self.folder, "")  # of every path
        self._pretty = pretty
        self._folders: set[str] = set()  # subfolders that were looked at before they were written to
        self._warned: set[str] = set()

    def _resolve(self, folder: str) -> str:
        try:
            real = resolve_links(folder)
            status = os.lstat(real)
            files.check_folder(status, folder, self.owners)
        except FileNotFoundError:
            return os.path.abspath(folder)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the cache in {folder!r} cannot be used: {getattr(error, 'strerror', None) or error}",
                guidance="Name a folder of your own, or use no cache.",
            ) from None
        return real

    def path(self, key: str) -> str:
        """Where the answer of a key is stored."""
        return f"{self._start}{key[:2]}{os.sep}{key}{SUFFIX}"

    def get(self, prepared: PreparedRequest, digest: str, redact: Callable[[bytes], bytes]) -> Entry | None:
        """The answer to a request whose digest is ``digest``; None if there is none, or the file is not the answer to it.

        ``redact`` removes the secrets of the provider from bytes. Never raises: what is wrong with a file is logged.
        """
        path = self.path(sample_key(digest, prepared.sample))
        entry = self.load(path)
        if entry is None or _is_answer_to(entry, prepared, digest, redact):
            return entry
        self.warn("foreign", "%s is the answer to another request and is not used", path)
        return None

    def has(self, digest: str, sample: int) -> bool:
        """Whether a file is there for a key; it may turn out to be unusable. Takes a third of the time of trying to open it."""
        return os.access(self.path(sample_key(digest, sample)), os.F_OK)

    def load(self, path: str) -> Entry | None:
        """The entry in a file; None if there is no file, or no entry in it, which is logged."""
        try:
            return decode(files.read(path, self.owners))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except (OSError, ValueError) as error:
            self.warn("unreadable", "%s is not used: %s", path, getattr(error, "strerror", None) or error)
            return None

    def is_damaged(self, path: str) -> bool:
        """Whether a file was read and is no entry, of this or a later release, or is too large to be one.

        One that cannot be read now may be read another time, or by another user.
        """
        try:
            decode(files.read(path, self.owners))
        except NewerFormatError:
            return False
        except ValueError:
            return True
        except OSError as error:
            return error.errno == errno.EFBIG
        return False

    def put(self, entry: Entry, *, is_new: bool = False) -> bool:
        """``write`` it, and return whether that was possible. Never raises: the caller has the answer, and it is paid for."""
        try:
            self.write(entry, is_new=is_new)
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or error
            self.warn("unwritten", "answers cannot be stored in %s: %s; they are returned all the same", self.folder, reason)
            return False
        return True

    def write(self, entry: Entry, *, is_new: bool = False) -> None:
        """Store an answer. ``is_new``: there is no file of this key, as was just seen.

        Raises ValueError or RecursionError for one that cannot be written as JSON, or would replace one of a later release, and
        OSError.
        """
        key = entry.key
        path = self.path(key)
        content = encode(entry, pretty=self._pretty)
        files.check_size(len(content), path)
        if key[:2] not in self._folders:
            self._prepare(key[:2])
        if not is_new:
            self._keep_newer(path)
        try:
            files.replace(path, content)
        except FileNotFoundError:  # the folder was removed meanwhile
            self._folders.clear()
            self._prepare(key[:2])
            files.replace(path, content)

    def remove(self, path: str) -> bool:
        """Remove a file of the store; return whether it was there. Raises OSError."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True

    def paths(self) -> Iterator[str]:
        """The files of all answers, in the order of their keys. Links and other files are left out."""
        for subfolder in self.subfolders():
            with contextlib.suppress(OSError), os.scandir(subfolder) as found:
                names = [each.name for each in found if each.is_file(follow_symlinks=False)]
                keys = sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
                for key in keys:
                    if KEY.fullmatch(key) and key[:2] == os.path.basename(subfolder):
                        yield os.path.join(subfolder, key + SUFFIX)

    def subfolders(self) -> list[str]:
        """The subfolders that answers may be in."""
        try:
            with os.scandir(self.folder) as found:
                names = [each.name for each in found if _SUBFOLDER.fullmatch(each.name) and each.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        return [os.path.join(self.folder, name) for name in sorted(names)]

    def warn(self, what: str, message: str, *values: object) -> None:
        """Log a warning the first time that ``what`` is wrong; later ones at debug level."""
        if what in self._warned:
            _log.debug(message, *values)
        else:
            self._warned.add(what)
            _log.warning(message, *values)

    def _prepare(self, name: str) -> None:
        """Make a subfolder, and make sure that it is one, and no link to elsewhere."""
        subfolder = os.path.join(self.folder, name)
        try:
            os.mkdir(subfolder, 0o700)
        except FileExistsError:
            files.check_folder(os.lstat(subfolder), subfolder, self.owners)
        except FileNotFoundError:
            os.makedirs(self.folder, 0o700, exist_ok=True)  # by itself: the mode holds for the last folder of a path only
            os.makedirs(subfolder, 0o700, exist_ok=True)
            files.check_folder(os.lstat(subfolder), subfolder, self.owners)
        self._folders.add(name)

    def _keep_newer(self, path: str) -> None:
        """Raise ValueError if the file that would be replaced was written by a later release."""
        if not os.path.lexists(path):
            return
        with contextlib.suppress(OSError):
            try:
                decode(files.read(path, self.owners))
            except NewerFormatError as error:
                raise ValueError(f"{path} is of a later release ({error})") from None
            except ValueError:
                return  # unreadable: replaced


def _is_answer_to(entry: Entry, prepared: PreparedRequest, digest: str, redact: Callable[[bytes], bytes]) -> bool:
    """Whether an entry is the answer to this very request: by everything that was sent, not by its name or its digest alone."""
    if (entry.digest, entry.sample, entry.dialect) != (digest, prepared.sample, prepared.dialect):
        return False
    if not entry.redacted:
        return entry.body == prepared.body and entry.url == prepared.url and entry.model == prepared.model
    return (entry.body, entry.url, entry.model) == (
        redact(prepared.body),
        redacted_text(prepared.url, redact),
        redacted_text(prepared.model, redact),
    )


def redacted_text(text: str, redact: Callable[[bytes], bytes]) -> str:
    """A text without secrets."""
    return redact(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
