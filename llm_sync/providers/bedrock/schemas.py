"""The shapes that answers and listings of Bedrock are held against: what is read of them, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT = {"type": "string", "nullable": True}
_ANYTHING = {"nullable": True}
_CITED = {"type": "list", "nullable": True, "schema": {"type": "dict", "schema": {"text": _TEXT}}}
RESPONSE: Mapping[str, Any] = {
    "output": {
        "type": "dict",
        "required": True,
        "schema": {
            "message": {
                "type": "dict",
                "required": True,
                "schema": {
                    "content": {
                        "type": "list",
                        "required": True,
                        "schema": {
                            "type": "dict",
                            "schema": {
                                "text": _TEXT,
                                "toolUse": {
                                    "type": "dict",
                                    "nullable": True,
                                    "schema": {
                                        "toolUseId": _ANYTHING,
                                        "name": _TEXT,
                                        "input": {"type": "dict", "nullable": True},
                                    },
                                },
                                "reasoningContent": {
                                    "type": "dict",
                                    "nullable": True,
                                    "schema": {"reasoningText": {"type": "dict", "nullable": True, "schema": {"text": _TEXT}}},
                                },
                                "citationsContent": {"type": "dict", "nullable": True, "schema": {"content": _CITED}},
                            },
                        },
                    }
                },
            }
        },
    },
    "stopReason": {"type": ["string", "number"], "nullable": True},
    "usage": _ANYTHING,
}
LISTING: Mapping[str, Any] = {
    "modelSummaries": {
        "type": "list",
        "nullable": True,
        "schema": {
            "type": "dict",
            "schema": {
                "modelId": {"type": "string", "required": True},
                "inferenceTypesSupported": {"type": "list", "nullable": True},
                "outputModalities": {"type": "list", "nullable": True},
            },
        },
    },
    "inferenceProfileSummaries": {
        "type": "list",
        "nullable": True,
        "schema": {"type": "dict", "schema": {"inferenceProfileId": {"type": "string", "required": True}}},
    },
    "nextToken": _TEXT,
}
SOME_LISTING: Mapping[str, Any] = {
    **LISTING,
    "modelSummaries": {**LISTING["modelSummaries"], "required": True},
}
