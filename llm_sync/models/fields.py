"""The table of a request's fields: what each may hold, where it may stand, and what it is called elsewhere.

It feeds the checks of ModelRequest, the schema of configurations, the defaults that are filled in, the options of the command
line, the shims and the tables of docs/configuration.md. A new field is a row here, an attribute of ModelRequest (which type
checkers and the reference in docs/python.md read) and its spelling in the dialects that send it.

Imports nothing: the command line's parser reads it at every start.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NUMBER, WHOLE, TEXT, TEXTS, MAPPING, OTHER = "number", "whole number", "text", "texts", "mapping", "other"
SWITCH, WORD = "switch", "word"
CACHE_TTLS = ("5m", "1h")  # how long a provider keeps what it cached of a prompt
SERVICE_TIERS = ("flex", "priority", "default")  # how fast, how surely and at what price a provider answers
COMPLETION_WINDOWS = ("soonest", "2h", "8h")  # within which time a background answer is wanted

REQUEST = ("request",)
ANY_LEVEL = ("request", "model", "provider", "default_params", "defaults")

# The APIs of the built-in dialects; openrouter and all compatible servers speak "openai".
OPENAI, RESPONSES, ANTHROPIC, GEMINI = APIS = ("openai", "openai-responses", "anthropic", "gemini")


class RequestField:
    """One row.

    ``kind``: NUMBER, WHOLE, TEXT, TEXTS (a text or a list of texts), MAPPING, SWITCH (True or False), WORD (one of ``words``),
    or OTHER for fields with rules of their own. ``low`` and ``high``: the range, both included, None for no limit.
    ``levels``: where it may stand. ``meaning`` and ``example`` (YAML): for the tables of docs/configuration.md. ``option``,
    ``metavar`` and ``help``: of the command line; "" where the field has none, or one of another kind (a file). ``wire``: API
    -> the name it has there; an API that is absent does not take it.
    """

    __slots__ = ("example", "help", "high", "kind", "levels", "low", "meaning", "metavar", "name", "option", "wire", "words")

    def __init__(
        self,
        name: str,
        kind: str = OTHER,
        *,
        low: int | None = None,
        high: int | None = None,
        levels: tuple[str, ...] = REQUEST,
        meaning: str = "",
        example: str = "",
        option: tuple[str, str, str] = ("", "", ""),
        wire: Mapping[str, str] | str | None = None,
        words: tuple[str, ...] = (),
    ) -> None:
        self.name, self.kind, self.low, self.high, self.levels = name, kind, low, high, levels
        self.meaning, self.example, self.words = meaning, example, words
        self.option, self.metavar, self.help = option
        self.wire: Mapping[str, str] = dict.fromkeys(APIS, wire) if isinstance(wire, str) else wire or {}


FIELDS = (
    RequestField("prompt"),
    RequestField("model", TEXT),
    RequestField("messages"),
    RequestField(
        "temperature",
        NUMBER,
        low=0,
        high=2,
        levels=ANY_LEVEL,
        meaning="sampling temperature",
        example="0.2",
        option=("--temperature", "T", "sampling temperature, 0 to 2"),
        wire="temperature",
    ),
    RequestField(
        "top_p",
        NUMBER,
        low=0,
        high=1,
        levels=ANY_LEVEL,
        meaning="nucleus sampling",
        example="0.9",
        option=("--top-p", "P", "nucleus sampling, 0 to 1"),
        wire={OPENAI: "top_p", RESPONSES: "top_p", ANTHROPIC: "top_p", GEMINI: "topP"},
    ),
    RequestField(
        "max_tokens",
        WHOLE,
        low=1,
        levels=ANY_LEVEL,
        meaning="the longest answer; reasoning counts. `anthropic` requires one and sends 4096 when none is given",
        example="1024",
        option=("--max-tokens", "N", "limit the answer to N tokens"),
        wire={OPENAI: "max_tokens", RESPONSES: "max_output_tokens", ANTHROPIC: "max_tokens", GEMINI: "maxOutputTokens"},
    ),
    RequestField(
        "stop_sequences",
        TEXTS,
        levels=ANY_LEVEL,
        meaning="texts that end the answer",
        example='["END", "###"]',
        option=("--stop", "TEXT", "end the answer before TEXT; may be repeated"),
        wire={OPENAI: "stop", ANTHROPIC: "stop_sequences", GEMINI: "stopSequences"},
    ),
    RequestField(
        "seed",
        WHOLE,
        levels=ANY_LEVEL,
        meaning="for repeatable answers, where a provider offers that",
        example="7",
        option=("--seed", "N", "ask for a repeatable answer, if the provider supports that"),
        wire={OPENAI: "seed", GEMINI: "seed"},
    ),
    RequestField(
        "system_prompt",
        TEXT,
        levels=ANY_LEVEL,
        meaning="instructions before the conversation",
        example="Answer in one sentence.",
        wire={RESPONSES: "instructions", ANTHROPIC: "system", GEMINI: "systemInstruction"},
    ),
    RequestField(
        "provider_specific",
        MAPPING,
        levels=ANY_LEVEL,
        meaning="provider-specific parameters, put into the payload",
        example="{reasoning_effort: low}",
    ),
    RequestField(
        "cache_system",
        SWITCH,
        levels=ANY_LEVEL,
        meaning="mark the system prompt as the part of the prompt to cache, where a provider takes such marks",
        example="true",
        option=("--cache-system", "", "mark the system prompt for the provider's prompt cache, if it takes such marks"),
    ),
    RequestField(
        "cache_ttl",
        WORD,
        words=CACHE_TTLS,
        levels=ANY_LEVEL,
        meaning="how long a provider keeps what is marked for its prompt cache: `5m` or `1h`",
        example="1h",
        option=("--cache-ttl", "TIME", "keep it in the prompt cache for 5m or 1h"),
    ),
    RequestField(
        "service_tier",
        WORD,
        words=SERVICE_TIERS,
        levels=ANY_LEVEL,
        meaning="`flex` (half the price, may take minutes), `priority` (faster, dearer) or `default`, where a provider has it",
        example="flex",
        option=("--service-tier", "TIER", "flex (half the price, slower), priority (faster, dearer) or default"),
        wire={OPENAI: "service_tier", RESPONSES: "service_tier", ANTHROPIC: "service_tier", GEMINI: "serviceTier"},
    ),
    RequestField(
        "completion_window",
        WORD,
        words=COMPLETION_WINDOWS,
        levels=ANY_LEVEL,
        meaning="within which time a background answer is wanted: `soonest`, `2h` or `8h` (cheaper), where a provider offers it",
        example="2h",
        option=("--completion-window", "TIME", "with --via background: wanted soonest, within 2h or 8h (cheaper)"),
        wire={RESPONSES: "background_options.completion_window"},
    ),
    RequestField(
        "response_schema",
        MAPPING,
        wire={OPENAI: "response_format", RESPONSES: "text.format", ANTHROPIC: "output_config", GEMINI: "responseJsonSchema"},
    ),
    RequestField("images"),
    RequestField("documents"),
    RequestField("tools", wire="tools"),
    RequestField("tool_choice", wire={OPENAI: "tool_choice", RESPONSES: "tool_choice", ANTHROPIC: "tool_choice"}),
    RequestField("id"),
)

CONFIGURABLE = tuple(field for field in FIELDS if "defaults" in field.levels)
# What a configuration gives to a request that does not have it. provider_specific is merged key by key instead.
DEFAULTS = tuple(field.name for field in CONFIGURABLE if field.kind != MAPPING)
OPTIONS = tuple(field for field in FIELDS if field.option)
# What the values of a request are checked by, field after field; the others have rules of their own.
CHECKED = {field.name: field for field in FIELDS if field.kind != OTHER}


def on_wire(api: str, kinds: Collection[str] = (NUMBER, WHOLE)) -> dict[str, str]:
    """The names an API has for fields of these kinds -> the fields' own names, for what needs no more than a new name."""
    return {field.wire[api]: field.name for field in FIELDS if api in field.wire and field.kind in kinds}


def own_names() -> dict[str, str]:
    """Every name an API has for a field, in lower case -> the field's own name."""
    return {name.lower(): field.name for field in FIELDS for name in field.wire.values()}
