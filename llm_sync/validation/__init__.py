"""Checks documents against Cerberus schemas: configurations (every problem, with hints) and answers (fast, as most are valid).

Also the readers of YAML and JSON files, and JSON Schemas for structured output. Cerberus schemas are plain data. A rule may
have ``meta``, which Cerberus ignores and messages use: ``expected`` (what belongs there) and ``hint`` (what to do).
"""

from llm_sync.validation.checking import ResponseValidator, problems
from llm_sync.validation.messages import SchemaProblem, closest, field_path, shown

__all__ = ["ResponseValidator", "SchemaProblem", "closest", "field_path", "problems", "shown"]
