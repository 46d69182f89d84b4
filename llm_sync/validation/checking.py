"""Checks documents against Cerberus schemas, with the fast predicate first. The only user of cerberus, imported on first use."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar

from llm_sync.errors import FieldProblem
from llm_sync.runtime.import_lock import import_lock
from llm_sync.validation.messages import SchemaProblem, field_problem, json_kind, schema_problem
from llm_sync.validation.predicate import compile_rules, compile_schema

MAX_FIELDS = 20  # problems reported for one answer


def problems(document: object, schema: Mapping[str, Any]) -> list[SchemaProblem]:
    """Everything in ``document`` that the schema forbids, including unknown keys (with "did you mean"); ``[]`` if it is valid.

    For configurations: any text may be a secret, so texts of the document are never shown; numbers and booleans are.
    """
    if not isinstance(document, Mapping):
        return [SchemaProblem((), f"expected a mapping, found {json_kind(document)}", None)]
    accepts = compile_schema(schema, closed=True)
    if accepts is not None and accepts(document):
        return []
    validator = _validator_class()(schema, allow_unknown=False)
    validator.validate(document, normalize=False)
    return [schema_problem(error, schema) for error in _leaves(validator._errors)]  # noqa: SLF001  .errors has texts only


class ResponseValidator:
    """Checks answers of one kind against a Cerberus schema. Unknown keys are allowed at every level.

    Cheap to construct: the schema is compiled on the first check. A Cerberus validator is built, once per thread, only for
    an answer that the compiled predicate does not accept. May be shared between threads.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._accepts: Callable[[object], bool] | None = None
        self._compiled = False
        self._local = threading.local()  # one Validator per thread: shared ones give wrong verdicts

    def check(self, body: object) -> tuple[FieldProblem, ...]:
        """The wrong fields of an answer, the first 20; ``()`` if it fits the schema. Never shows a text of the answer.

        Raises nothing for any JSON value, as long as every field of the schema has a type. Time is linear in the size of
        the answer.
        """
        if not self._compiled:  # two threads may both compile: the results are equal
            self._accepts = compile_schema(self._schema)
            self._compiled = True
        if self._accepts is not None and self._accepts(body):
            return ()
        if not isinstance(body, Mapping):
            return (FieldProblem("body", "object", json_kind(body)),)
        validator = getattr(self._local, "validator", None)
        if validator is None:
            validator = self._local.validator = _validator_class()(self._schema, allow_unknown=True)
            validator.max_leaves = MAX_FIELDS if _each_leaf_counts(self._schema) else None
        try:
            validator.validate(body, normalize=False)
            errors = _leaves(validator._errors)  # noqa: SLF001
        except _Enough as enough:
            errors = iter(enough.leaves)
        return tuple(field_problem(error, self._schema) for error in islice(errors, MAX_FIELDS))


class _Enough(Exception):
    """Enough wrong fields are known: no more would be reported."""

    def __init__(self, leaves: list[Any]) -> None:
        super().__init__()
        self.leaves = leaves


@lru_cache(maxsize=1)
def _validator_class() -> Any:
    with import_lock:
        from cerberus import TypeDefinition, Validator

    class Diagnosis(Validator):  # type: ignore[misc]
        """Collects errors in order, in linear time; a boolean is not a number.

        Cerberus itself sorts all errors and adds them to two trees with each new error, which takes quadratic time; nothing
        here reads these trees.
        """

        types_mapping: ClassVar[dict[str, Any]] = {
            **Validator.types_mapping,
            "integer": TypeDefinition("integer", (int,), (bool,)),
            "float": TypeDefinition("float", (float, int), (bool,)),
        }
        max_leaves: int | None = None
        leaves: list[Any]

        def validate(self, document: Any, *args: Any, **kwargs: Any) -> bool:
            if not self.is_child:
                self.leaves = []
            elif self.allow_unknown is True and len(document) > MAX_FIELDS and isinstance(next(iter(document)), int):
                document = _not_surely_valid(document, self.schema)  # the members of a list, by index
            return bool(super().validate(document, *args, **kwargs))

        __call__ = validate

        def _get_child_validator(self, *args: Any, **kwargs: Any) -> Any:
            child = super()._get_child_validator(*args, **kwargs)
            child.max_leaves, child.leaves = self.max_leaves, self.leaves
            return child

        def _error(self, *args: Any) -> None:
            if len(args) != 1:
                super()._error(*args)
                return
            self._errors.extend(args[0])
            if self.max_leaves is not None:
                self.leaves.extend(error for error in args[0] if not error.is_group_error)
                if len(self.leaves) >= self.max_leaves:
                    raise _Enough(self.leaves)

        def _check_with_finite(self, field: str, value: Any) -> None:
            if isinstance(value, float) and not math.isfinite(value):
                self._error(field, "finite")

    return Diagnosis


def _not_surely_valid(items: Mapping[int, Any], schema: Mapping[int, Any]) -> Mapping[int, Any]:
    """The members of a list that Cerberus has to check: each one costs it a child validator, 80 microseconds.

    Left out are members that the predicate accepts, and members without rules (Cerberus checks an alternative of anyof
    against the whole list with the schema of one member).
    """
    if len(schema) < len(items):
        return {index: items[index] for index in schema if index in items}
    rules = schema[0]  # all members have the same
    accepts = None if rules.get("required") else compile_rules(rules)
    return items if accepts is None else {index: item for index, item in items.items() if not accepts(item)}


def _each_leaf_counts(rules: object) -> bool:
    """Whether every single error makes the document invalid; below anyof and the like, an alternative may fail."""
    if isinstance(rules, Mapping):
        return not any(str(name).partition("_")[0] in ("anyof", "allof", "noneof", "oneof") for name in rules) and all(
            _each_leaf_counts(value) for value in rules.values()
        )
    return True


def _leaves(errors: Iterable[Any]) -> Iterator[Any]:
    for error in errors:
        if error.is_group_error and not error.is_logic_error:
            yield from _leaves(error.child_errors)
        else:
            yield error
