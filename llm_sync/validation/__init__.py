"""Documents held against Cerberus schemas: configurations (every problem, with hints) and answers (quickly, most are good).

Schemas are plain data. A rule may carry ``meta``, which Cerberus ignores and the messages use: ``expected`` (words for
what belongs there) and ``hint`` (what to do).
"""

from llm_sync.validation.checking import ResponseValidator, problems
from llm_sync.validation.wording import SchemaProblem, closest, field_path, shown

__all__ = ["ResponseValidator", "SchemaProblem", "closest", "field_path", "problems", "shown"]
