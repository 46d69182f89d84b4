"""A dialect as the documentation had it before dialects were composed into providers: a subclass of LLMProvider."""

# mypy: ignore-errors
from llm_sync import Usage
from llm_sync.providers import Answer, LLMProvider, ProviderFactory, count, tool_call

TEXT = {"type": "string", "nullable": True}
CALL = {"name": {"type": "string", "required": True}, "with": {"type": "dict", "required": True}}


class AcmeProvider(LLMProvider):
    type = "acme"
    default_base_url = "https://llm.acme.example"
    key_variables = ("ACME_API_KEY",)
    key_header, key_prefix = "x-acme-key", ""
    path = "/ask"
    response_schema = {  # noqa: RUF012
        "says": {**TEXT, "required": True},
        "ended": TEXT,
        "refused": TEXT,
        "calls": {"type": "list", "nullable": True, "schema": {"type": "dict", "schema": CALL}},
    }

    def _prepare_request(self, request, changes):
        changes.lose_others(request, ("max_tokens", "tools"), "Acme has no such setting")
        turns = [{"who": turn.role, "says": turn.content} for turn in request.conversation()]
        asked = {"rules": request.system_prompt, "limit": request.max_tokens, "tools": list(request.tools) or None}
        return {"model": request.model, "turns": turns, **{key: value for key, value in asked.items() if value is not None}}

    def _read_answer(self, body):
        calls = tuple(tool_call(str(n), call["name"], call["with"]) for n, call in enumerate(body.get("calls") or ()))
        words = {"done": "stop", "limit": "length"}
        finish, usage = words.get(body.get("ended"), "other"), self._read_usage(body)
        return Answer(body.get("says") or "", finish, body.get("ended"), usage, tool_calls=calls, blocked=body.get("refused"))

    def _read_usage(self, body):
        return Usage(count(body, "tokens", "in"), count(body, "tokens", "out"))


ProviderFactory.register("acme", AcmeProvider)
