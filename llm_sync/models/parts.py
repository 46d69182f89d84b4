"""The parts of a message's content, in their order: text, images, documents, audio."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import field_checks, grammar
from llm_sync.models.fields import CACHE_TTLS
from llm_sync.models.frozen import Frozen, dataclass

PART_TYPES = ("text", "image", "document", "audio")
_DETAILS = ("auto", "low", "high", "original")
_FORM = 'Write {"type": "text", "text": …} or {"type": "document", "source": …}; types are text, image, document and audio.'


@dataclass(frozen=True, repr=False, eq=False)
class Part(Frozen):
    """One part of a message's content.

    ``type``: text, image, document (PDF or text) or audio. ``text``: of a text. ``source``: of the others, a path, bytes, or an
    http(s) or data URL. ``name``: a document's. ``detail``: how closely an image is looked at (auto, low, high, original), where
    the API has that. ``cache``: the prompt up to here is to be cached, for ``cache_ttl`` ("5m" or "1h").

    Raises InvalidRequestError for values that do not go together.
    """

    type: str
    text: str | None = None
    source: Any = None
    name: str | None = None
    detail: str | None = None
    cache: bool = False
    cache_ttl: str | None = None

    def __post_init__(self) -> None:
        if self.type not in PART_TYPES:
            raise InvalidRequestError(f"a part is of type {self.type!r}", guidance=_FORM)
        if (self.type == "text") != (self.text is not None) or (self.type == "text") != (self.source is None):
            wanted = "text and no source" if self.type == "text" else "source and no text"
            raise InvalidRequestError(f"{grammar.with_article(self.type)} part needs {wanted}", guidance=_FORM)
        if self.text is not None:
            field_checks.check_text("the text of a part", self.text)
            if not self.text:
                raise InvalidRequestError("a text part is empty", guidance="Leave it out.")
        else:
            field_checks.images("source", [self.source])
        if self.name is not None:
            field_checks.check_text("the name of a part", self.name)
        if self.detail is not None and (self.type != "image" or self.detail not in _DETAILS):
            raise InvalidRequestError(
                f"detail={self.detail!r} of {grammar.with_article(self.type)} part",
                guidance=f"Images have {', '.join(_DETAILS)}.",
            )
        check_cache(self.cache, self.cache_ttl)

    def loaded(self) -> Part:
        """The part with its file read. Raises InvalidRequestError for one that cannot be read, or is of another type."""
        if self.type == "text":
            return self
        from llm_sync.models import documents, images  # few requests have files

        if self.type == "document":
            source: Any = documents.load_document(self.source, self.name)
        else:
            source = images.load_image(self.source) if self.type == "image" else documents.load_audio(self.source)
        return self if source is self.source else dataclasses.replace(self, source=source)

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, by name; ``Part(**part.to_dict())`` gives an equal part."""
        return {name: value for name, value in vars(self).items() if value is not None and value is not False}


def check_cache(cache: object, ttl: object) -> None:
    """Raise InvalidRequestError unless the two can be a cache point, or none."""
    if not isinstance(cache, bool):
        raise InvalidRequestError(f"cache is {grammar.type_name(cache)}", guidance="Give True or False.")
    if ttl is None:
        return
    if ttl not in CACHE_TTLS:
        raise InvalidRequestError(f"cache_ttl={ttl!r} is not a time", guidance=f"Give {' or '.join(CACHE_TTLS)}.")
    if not cache:
        raise InvalidRequestError("cache_ttl is given without cache", guidance="Set cache=True, too.")


def read_parts(name: str, value: object) -> tuple[Part, ...]:
    """Parts from a list of them, of mappings of their fields, and of texts. Raises InvalidRequestError."""
    return tuple(_part(f"{name}[{index}]", item) for index, item in enumerate(field_checks.listed(name, value)))


def _part(name: str, value: Any) -> Part:
    if isinstance(value, Part):
        return value
    if isinstance(value, str):
        return Part("text", text=value)
    kind = type(value).__name__.lower()
    if hasattr(value, "media_type") and kind in PART_TYPES:  # Image, Document, Audio
        return Part(kind, source=value)
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise InvalidRequestError(f"{name} is {grammar.type_name(value)} without a type", guidance=_FORM)
    unknown = sorted(str(key) for key in value if key not in _FIELDS)
    if unknown:
        raise InvalidRequestError(f"{name} has the field {unknown[0]!r}", guidance=f"A part's fields are {', '.join(_FIELDS)}.")
    return Part(**value)


_FIELDS = tuple(field.name for field in dataclasses.fields(Part))


def texts_of(parts: Iterable[Part]) -> str | None:
    """The texts, each on a line of its own; None without any."""
    return "\n".join(part.text for part in parts if part.text is not None) or None
