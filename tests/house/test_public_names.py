"""The names programs are written against: all there, each with the signature it was promised with."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import LLMClient, Message, ModelListing, ModelResponse, Part, ProviderStatus, Tool, ToolCall, Usage

OPTIONS = "timeout=None, deadline=None, max_retries=None, wait_timeout=None, via=None"
SIGNATURES: dict[str, tuple[Callable[..., Any], str]] = {
    "llm_sync.generate": (llm_sync.generate, f"(prompt=None, model=None, *, config=None, {OPTIONS}, **request_fields)"),
    "llm_sync.close": (llm_sync.close, "(cancel_pending=False)"),
    "LLMClient": (
        LLMClient,
        (
            "(config, *, strict=False, strict_streaming=False, publish_status=False, cache=None, max_cost=None, tag=None, "
            "session=None)"
        ),
    ),
    "LLMClient.from_config": (
        LLMClient.from_config,
        (
            "(name_or_path=None, *, config_dir=None, strict=False, strict_streaming=False, publish_status=False, cache=None, "
            "max_cost=None, tag=None, session=None)"
        ),
    ),
    "LLMClient.generate": (LLMClient.generate, f"(self, prompt=None, model=None, *, {OPTIONS}, **request_fields)"),
    "LLMClient.generate_response": (LLMClient.generate_response, f"(self, request, *, {OPTIONS})"),
    "LLMClient.submit": (LLMClient.submit, f"(self, request, *, block=True, {OPTIONS})"),
    "LLMClient.generate_responses_concurrent": (
        LLMClient.generate_responses_concurrent,
        "(self, requests, *, return_exceptions=False)",
    ),
    "LLMClient.map": (LLMClient.map, "(self, requests, *, window=256, return_exceptions=False)"),
    "LLMClient.run_tools": (LLMClient.run_tools, "(self, request, tools, max_rounds=8, max_cost=None, **options)"),
    "llm_sync.run_tools": (llm_sync.run_tools, "(request, tools, max_rounds=8, max_cost=None, *, config=None, **options)"),
    "Tool": (Tool, "(function, *, name=None, description=None, parameters=None, timeout=-1.0)"),
    "LLMClient.embed": (LLMClient.embed, "(self, texts, model, **options)"),
    "LLMClient.list_all_models": (LLMClient.list_all_models, "(self, *, timeout=None)"),
    "LLMClient.status": (LLMClient.status, "(self)"),
    "LLMClient.add_listener": (LLMClient.add_listener, "(self, listener)"),
    "LLMClient.add_middleware": (LLMClient.add_middleware, "(self, middleware)"),
    "LLMClient.check_providers": (LLMClient.check_providers, "(self, names)"),
    "LLMClient.close": (LLMClient.close, "(self, cancel_pending=False, *, grace=None)"),
    "ToolCall": (ToolCall, "(id, name, arguments, raw_arguments='', state=None)"),
    "Message": (
        Message,
        (
            "(role, content=None, images=(), tool_calls=(), tool_call_id=None, state=None, parts=(), cache=False, "
            "cache_ttl=None, name=None)"
        ),
    ),
    "Part": (Part, "(type, text=None, source=None, name=None, detail=None, cache=False, cache_ttl=None)"),
    "Usage": (
        Usage,
        "(input_tokens=None, output_tokens=None, cached_tokens=None, reasoning_tokens=None, cache_write_tokens=None)",
    ),
    "ModelListing": (ModelListing, "(models=(), missing=(), error=None)"),
}


def without_types(signature: inspect.Signature) -> str:
    """A signature as it is called."""
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(inspect.Signature(parameters))


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_is_as_promised(name: str) -> None:
    """Names, order, kinds and defaults of parameters are what callers rely on."""
    function, promised = SIGNATURES[name]
    assert without_types(inspect.signature(function)) == promised


def test_a_client_has_no_other_public_name() -> None:
    """Whatever has no underscore is a promise: it stands in the list above, or is the configuration."""
    promised = {name.partition(".")[2] for name in SIGNATURES if name.startswith("LLMClient.")}
    assert {name for name in vars(LLMClient) if not name.startswith("_")} == promised


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            ModelResponse,
            (
                "text model provider finish_reason usage timestamp latency_ms attempts request_id tool_calls adjustments "
                "cost_estimate metadata id cached saved_estimate route"
            ),
        ),
        (
            ProviderStatus,
            (
                "queued in_flight oldest_in_flight_s done failed retries cooling_down_until last_error latency_p50_ms "
                "latency_p95_ms requests_per_minute cached breaker_open_until concurrency"
            ),
        ),
    ],
)
def test_what_comes_out_has_the_promised_fields(kind: type, fields: str) -> None:
    """In the order of the documentation, for who prints or unpacks them."""
    assert list(inspect.signature(kind).parameters) == fields.split()


def test_public_modules_are_attributes_of_the_package() -> None:
    """``import llm_sync`` is enough for ``llm_sync.batch.run``; another name is an AttributeError."""
    code = "import llm_sync; print(llm_sync.batch.run.__name__, llm_sync.reports.summarize.__name__); llm_sync.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50)
    assert done.stdout == "run summarize\n"
    assert done.stderr.endswith("AttributeError: module 'llm_sync' has no attribute 'cli'\n")


def test_type_checkers_see_the_same_names_as_programs() -> None:
    """The names imported on first use and those under TYPE_CHECKING are the same, from the same modules."""
    tree = ast.parse(Path(llm_sync.__file__).read_text("utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == llm_sync._HOME


@pytest.mark.parametrize("name", [name for name in llm_sync.__all__ if name != "__version__"])
def test_a_public_name_says_what_it_is_for(name: str) -> None:
    """Every one has a docstring, and a class those of its public methods too."""
    found = getattr(llm_sync, name)
    assert inspect.getdoc(found)
    if inspect.isclass(found) and not issubclass(found, Exception):
        for method, value in vars(found).items():
            if inspect.isfunction(value) and not method.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{method}"
