"""A client of Dask: of the scheduler that was named, of the program's own, or of a cluster that is started on this machine."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from llm_sync.engines.dask_submission import PinnedTasks
from llm_sync.errors import ConfigurationError, ProviderConnectionError
from llm_sync.runtime.import_lock import import_lock

ADDRESS_VARIABLE = "DASK_SCHEDULER_ADDRESS"
_CONNECT_S = 30.0
_SILENT = 50  # of Dask's log, only what is critical


class Connection:
    """Connects when ``client`` or ``tasks`` is first read. Raises ConfigurationError if Dask is not installed."""

    def __init__(self, address: str | None, client: Any) -> None:
        with import_lock:
            self._dask, self._settings = _imported()
        self._address = address
        self._given = client
        self._cluster: Any = None
        self.is_open = False

    @property
    def is_own_cluster(self) -> bool:
        """Whether the cluster is started for this run."""
        return self._address is None and self._given is None

    @cached_property
    def client(self) -> Any:
        """Raises ProviderConnectionError if there is no scheduler, ConfigurationError if the way to it is not encrypted."""
        options: dict[str, Any] = {"set_as_default": False, "timeout": _CONNECT_S}
        try:
            client = self._given
            if client is None and self._address is None:
                client = self._dask.Client(self._started_cluster(), **options)
            elif client is None:
                self._refuse_plain(str(self._address))
                client = self._dask.Client(self._address, **options)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            self.close()
            raise ProviderConnectionError(
                f"Dask's scheduler {f'at {self._address}' if self._address else 'on this machine'} cannot be used: {error!r}",
                guidance=f"Check the address (--on dask:ADDRESS, {ADDRESS_VARIABLE}) and, for tls://, Dask's own TLS settings.",
            ) from error
        self.is_open = True
        return client

    @cached_property
    def tasks(self) -> PinnedTasks:
        """What submits tasks. Raises as ``client``."""
        return PinnedTasks(self._dask, self.client)

    def workers(self) -> list[str]:
        """The addresses of the workers there are."""
        return list(self.client.scheduler_info(n_workers=-1)["workers"])

    def close(self) -> None:
        """Disconnect, but not the program's own client; end the cluster that was started."""
        self.is_open = False
        if "tasks" in vars(self):
            self.tasks.close()
        if "client" in vars(self):
            with contextlib.suppress(Exception):  # it may be gone
                self.client.unsubscribe_topic("all")
            if self._given is None:
                with contextlib.suppress(Exception):
                    self.client.close(timeout=5)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=10)

    def _started_cluster(self) -> Any:
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._cluster = self._dask.LocalCluster(
            n_workers=count, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=_SILENT
        )
        return self._cluster

    def _refuse_plain(self, address: str) -> None:
        """Prompts and answers travel over connections to the scheduler. Raises ConfigurationError if others could read them."""
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        host = parts.hostname or ""
        is_local = host in ("localhost", "::1") or host.startswith("127.")
        allowed = self._settings.get("distributed.comm.require-encryption", None) is False
        if parts.scheme not in ("tls", "wss", "inproc") and not is_local and not allowed:
            raise ConfigurationError(
                f"the connection to Dask's scheduler at {address} is not encrypted",
                guidance="Use a tls:// address with Dask's own TLS settings, or allow it: "
                "export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=False",
            )


def _imported() -> tuple[Any, Any]:
    """The package distributed, and Dask's configuration. Raises ConfigurationError if it is not installed."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ConfigurationError(
            f"Dask is not installed ({error})", guidance="Install it, here and for the workers: pip install 'llm-sync[dask]'"
        ) from None
    return distributed, dask.config
