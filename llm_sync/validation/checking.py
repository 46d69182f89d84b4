"""Documents held against Cerberus schemas, by the quick predicate first. The only user of cerberus, imported on first use."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from llm_sync.errors import FieldProblem
from llm_sync.runtime.import_lock import import_lock
from llm_sync.validation.predicate import compile_rules, compile_schema
from llm_sync.validation.wording import SchemaProblem, explained, field_problem, json_kind

MOST_FIELDS = 20  # problems reported of one answer


def problems(document: object, schema: Mapping[str, Any]) -> list[SchemaProblem]:
    """Everything in ``document`` that the schema forbids, unknown keys too (with "did you mean"); ``[]`` when all is well.

    For configurations: texts of the document are never shown, as any may be a secret; numbers and the like are.
    """
    if not isinstance(document, Mapping):
        return [SchemaProblem((), f"expected a mapping, found {json_kind(document)}", None)]
    accepts = compile_schema(schema, closed=True)
    if accepts is not None and accepts(document):
        return []
    validator = _validator_class()(schema, allow_unknown=False)
    validator.validate(document, normalize=False)
    return [explained(error, schema) for error in _leaves(validator._errors)]  # noqa: SLF001  .errors has texts only


class ResponseValidator:
    """Holds answers of one kind against a Cerberus schema (plain data; unknown keys pass at every level).

    Cheap to construct: the schema is compiled on the first check, and a Cerberus validator is built, once per thread, only
    for an answer the compiled form is not sure of. May be shared between threads.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._accepts: Callable[[object], bool] | None = None
        self._compiled = False
        self._local = threading.local()  # one Validator per thread: shared ones give wrong verdicts

    def check(self, body: object) -> tuple[FieldProblem, ...]:
        """``()`` when the answer is of this shape, else its wrong fields, the first 20; never shows any text of it.

        Raises nothing, for any JSON value, where the schema gives its fields types. Takes time in proportion to the answer.
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
            validator.most = MOST_FIELDS if _each_leaf_counts(self._schema) else None
        try:
            validator.validate(body, normalize=False)
            errors = _leaves(validator._errors)  # noqa: SLF001
        except _Enough as enough:
            errors = iter(enough.leaves)
        found = [field_problem(error, self._schema) for _, error in zip(range(MOST_FIELDS), errors, strict=False)]
        return tuple(found)


class _Enough(Exception):
    """As many wrong fields are known as will be reported."""

    def __init__(self, leaves: list[Any]) -> None:
        super().__init__()
        self.leaves = leaves


@lru_cache(maxsize=1)
def _validator_class() -> Any:
    with import_lock:
        from cerberus import TypeDefinition, Validator

    class Diagnosis(Validator):  # type: ignore[misc]
        """Collects errors in order, in linear time, and knows that a boolean is no number.

        Cerberus sorts all errors and files them in two trees on each one found, which takes the square of their number;
        nothing here reads those trees.
        """

        types_mapping: ClassVar[dict[str, Any]] = {
            **Validator.types_mapping,
            "integer": TypeDefinition("integer", (int,), (bool,)),
            "float": TypeDefinition("float", (float, int), (bool,)),
        }
        most: int | None = None
        leaves: list[Any]

        def validate(self, document: Any, *args: Any, **kwargs: Any) -> bool:
            if not self.is_child:
                self.leaves = []
            elif self.allow_unknown is True and len(document) > MOST_FIELDS and isinstance(next(iter(document)), int):
                document = _doubtful(document, self.schema)  # the members of a list, by index
            return bool(super().validate(document, *args, **kwargs))

        __call__ = validate

        def _get_child_validator(self, *args: Any, **kwargs: Any) -> Any:
            child = super()._get_child_validator(*args, **kwargs)
            child.most, child.leaves = self.most, self.leaves
            return child

        def _error(self, *args: Any) -> None:
            if len(args) != 1:
                super()._error(*args)
                return
            self._errors.extend(args[0])
            if self.most is not None:
                self.leaves.extend(error for error in args[0] if not error.is_group_error)
                if len(self.leaves) >= self.most:
                    raise _Enough(self.leaves)

        def _check_with_finite(self, field: str, value: Any) -> None:
            if isinstance(value, float) and not math.isfinite(value):
                self._error(field, "finite")

    return Diagnosis


def _doubtful(items: Mapping[int, Any], schema: Mapping[int, Any]) -> Mapping[int, Any]:
    """Those a look is worth: a child validator costs Cerberus 80 microseconds, and one there is for every member.

    Left out are members the predicate is sure of, and those the schema does not speak of (an alternative of anyof is held
    against the whole list with a schema for one member).
    """
    if len(schema) < len(items):
        return {index: items[index] for index in schema if index in items}
    rules = schema[0]  # all members have the same
    accepts = None if rules.get("required") else compile_rules(rules)
    return items if accepts is None else {index: item for index, item in items.items() if not accepts(item)}


def _each_leaf_counts(rules: object) -> bool:
    """Whether every single error is a verdict: not so below anyof and its like, where an alternative may fail."""
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
