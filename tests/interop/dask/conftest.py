"""A scheduler and workers of Dask as processes of their own, and batches that run on them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

_BATCH, _HERE = Path(__file__).parents[2] / "batch", Path(__file__).parent
for _name, _file in (
    ("batch_apparatus", _BATCH / "apparatus.py"),
    ("batch_conftest", _BATCH / "conftest.py"),
    ("dask_cluster", _HERE / "dask_cluster.py"),
    ("dask_namespaces", _HERE / "namespaces.py"),
):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, _file)
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from batch_apparatus import Batch  # type: ignore[import-not-found]  # noqa: E402
from batch_conftest import _quick_disk, far, open_client, simulator  # type: ignore[import-not-found]  # noqa: E402, F401
from dask_cluster import Cluster  # type: ignore[import-not-found]  # noqa: E402

CONFIG = """
defaults: {retry_base: 0, max_retries: 2}
providers:
  a: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "<openai>", models: [m], concurrency: 8}
  b: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "<openai>", models: [m2]}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers; those that are added have the key."""
    made = Cluster(tmp_path, {**os.environ, "ENGINE_TEST_KEY": "a-key-of-a-worker"})
    yield made
    made.stop()


@pytest.fixture
def job(tmp_path: Path, open_client: Callable[..., Any]) -> Batch:  # noqa: F811
    """A batch whose coordinator has no key."""
    return Batch(tmp_path, open_client(CONFIG))
