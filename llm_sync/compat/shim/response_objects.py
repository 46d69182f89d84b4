"""The response objects of the shims: mappings whose items are attributes too."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

    from llm_sync.models import Adjustment, ModelResponse

Document = dict[str, Any]  # an alias, because the objects have a method called dict


class AnswerObject(dict[str, Any]):
    """One object of a response: ``answer.choices``, ``answer["choices"]`` and ``answer.get("choices")`` are the same.

    ``absent``: values (nearly always None) for fields that the provider left out; attributes, items, ``model_dump()``, ``keys()``
    and iteration have them, ``to_dict()`` and ``items()`` do not. ``parts``: the classes of nested objects.
    ``adjustments``: what was sent differently from what the script asked; ``llm_sync``: the ModelResponses it was made from (both
    on the outermost object only). Pickles and copies. Do not change it in several threads at once.
    """

    absent: ClassVar[Mapping[str, Any]] = {}
    parts: ClassVar[Mapping[str, type[AnswerObject]]] = {}

    adjustments: tuple[Adjustment, ...] = ()
    llm_sync: tuple[ModelResponse, ...] = ()
    _request_id: str | None = None
    _makers: ClassVar[tuple[tuple[str, Callable[[Any], AnswerObject]], ...]] = ()

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """The object for a body; nested objects get the classes in ``parts``."""
        made = cls(body)
        for name, make in cls._makers:
            value = made.get(name)
            if type(value) is dict:
                made[name] = make(value)
            elif type(value) is list:
                made[name] = [make(item) if type(item) is dict else item for item in value]
        return made

    def __init_subclass__(cls) -> None:
        # Classes without parts and without their own ``read`` are called directly: this runs for every response.
        plain = AnswerObject.read.__func__  # type: ignore[attr-defined]
        leaves = {kind for kind in cls.parts.values() if not kind.parts and kind.read.__func__ is plain}  # type: ignore[attr-defined]
        cls._makers = tuple((name, kind if kind in leaves else kind.read) for name, kind in cls.parts.items())

    def __iter__(self) -> Iterator[Any]:
        """Pairs of name and value, like pydantic's models; ``keys()`` has the names."""
        return iter((*self.items(), *self._left_out().items()))

    def keys(self) -> Any:
        """The names of all fields, so that ``dict(answer)`` has them all, as the original; ``items()`` has only received ones."""
        return dict((*self.items(), *self._left_out().items())).keys()

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that the provider sent."""
        return set(dict.keys(self))

    @classmethod
    def model_validate(cls, obj: Mapping[str, Any], **_options: Any) -> Self:
        """The object for a dict such as ``model_dump()`` returns, or a copy of another object. Types are not checked."""
        return cls.read(obj.model_dump(exclude_unset=True) if isinstance(obj, AnswerObject) else obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes, **_options: Any) -> Self:
        """The object for JSON text. Raises ValueError if it is not JSON."""
        return cls.read(json.loads(json_data))

    @classmethod
    def model_construct(cls, _fields_set: Any = None, **fields: Any) -> Self:
        """The object with these fields; ``construct`` is the old name."""
        return cls.read(fields)

    construct = model_construct

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            pass
        else:
            if (type(value) is dict or (type(value) is list and value and type(value[0]) is dict)) and name in self.parts:
                # Made by calling the class, as tests of scripts do: nested objects are not converted yet.
                value = self[name] = self.read({name: value})[name]
            return value
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __missing__(self, name: str) -> Any:
        return self.absent[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        if name in self:
            del self[name]
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self.keys()})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    __str__ = __repr__

    def to_dict(self, **options: Any) -> Document:
        """Plain dicts and lists with the fields that the provider sent; ``options`` as for ``model_dump``."""
        return self.model_dump(**{"exclude_unset": True, **options})

    def model_dump(
        self,
        *,
        mode: str = "python",  # noqa: ARG002  (as in pydantic; all values are JSON already)
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        by_alias: bool | None = None,  # noqa: ARG002  (as in pydantic; there are no aliases)
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,  # noqa: ARG002  (as in pydantic)
    ) -> Document:
        """Plain dicts and lists, including ``absent`` fields unless ``exclude_unset``; like pydantic's method."""
        out: Document = {}
        for name, value in (*self.items(), *(() if exclude_unset or exclude_defaults else self._left_out().items())):
            if (include is not None and name not in include) or (exclude is not None and name in exclude):
                continue
            if exclude_none and value is None:
                continue
            out[name] = _dumped(value, exclude_unset, exclude_defaults, exclude_none)
        return out

    def _left_out(self) -> Document:
        return {name: value for name, value in self.absent.items() if name not in self}

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """``model_dump`` as JSON text."""
        separators = (",", ":") if indent is None else None
        return json.dumps(self.model_dump(**options), indent=indent, separators=separators, ensure_ascii=False, default=str)

    def to_json(self, *, indent: int | None = 2, **options: Any) -> str:
        """``to_dict`` as JSON text."""
        return json.dumps(self.to_dict(**options), indent=indent, ensure_ascii=False, default=str)

    def to_dict_recursive(self) -> Document:
        """``to_dict``, by its name in openai 0.28."""
        return self.to_dict()

    def dict(self, **options: Any) -> Mapping[str, Any]:
        """``model_dump``, by its old name."""
        return self.model_dump(**options)

    def json(self, **options: Any) -> Any:
        """``model_dump_json``, by its old name."""
        return self.model_dump_json(**options)

    def copy(self) -> Self:
        """A shallow copy of the same class."""
        return self.model_copy()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with the items of ``update`` replaced."""
        import copy

        made = copy.deepcopy(self) if deep else copy.copy(self)
        made.update(update or {})
        return made


class Page(AnswerObject):
    """A listing: iterating over it gives the listed items, not field names. There is only one page."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self["data"])

    def has_next_page(self) -> bool:
        """False: all pages were read."""
        return False

    def next_page_info(self) -> None:
        """None: there is no next page."""

    def iter_pages(self) -> Iterator[Self]:
        """Yields this page."""
        yield self


def _dumped(value: Any, unset: bool, defaults: bool, none: bool) -> Any:
    if isinstance(value, AnswerObject):
        return value.model_dump(exclude_unset=unset, exclude_defaults=defaults, exclude_none=none)
    if isinstance(value, list):
        return [_dumped(item, unset, defaults, none) for item in value]
    if isinstance(value, dict):
        return {name: _dumped(item, unset, defaults, none) for name, item in value.items()}
    return value


def by_name(names: Mapping[str, Any]) -> dict[str, type[AnswerObject]]:
    """The response classes among a module's names."""
    return {name: value for name, value in names.items() if isinstance(value, type) and issubclass(value, AnswerObject)}
