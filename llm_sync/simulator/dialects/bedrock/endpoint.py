"""Bedrock's endpoints: ``POST /model/MODEL/converse``, ``GET /foundation-models`` and ``GET /inference-profiles``."""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from llm_sync.simulator.answers.bedrock_turns import bedrock_turns
from llm_sync.simulator.answers.generated import ParsedRequest, generate_answer, request_digest
from llm_sync.simulator.answers.tokens import count_json_tokens, count_tokens
from llm_sync.simulator.answers.turns import Turn
from llm_sync.simulator.dialects.base import Call, Dialect, bearer_token, random_id
from llm_sync.simulator.dialects.bedrock.conversation import check_conversation, check_thinking
from llm_sync.simulator.dialects.bedrock.reply import answer_body, reasoning_text
from llm_sync.simulator.dialects.bedrock.shapes import REQUEST, check, without_nulls
from llm_sync.simulator.dialects.embeddings import bedrock as embeddings
from llm_sync.simulator.dialects.json_schemas import iter_schemas, schema_error, types_of
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model, model_limits
from llm_sync.simulator.faults.error_spellings_bedrock import BEDROCK_TYPES
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

_CONVERSE = re.compile(r"/model/(.+)/converse")
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/\s,]+)/(?P<day>\d{8})/[a-z0-9-]+/bedrock/aws4_request, ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)
_BAD_VERSION = re.compile(r"(?!arn:)[^:]+:(?!\d+(?::\S+)?$).*")
_MAX_SKEW = 300  # seconds
_PREFIX = re.compile(r"(?:us|eu|apac|global|jp|au|us-gov)\.")
# Models that are served through inference profiles only.
_BY_PROFILE = re.compile(
    r"anthropic\.claude-(?:3-7|haiku-4|sonnet-4|opus-4)|amazon\.nova-(?:2|premier)|meta\.llama(?:3-[123]|4)|deepseek\.r1"
)
_NO_JSON_SCHEMA = re.compile(r"amazon\.|meta\.|cohere\.|ai21\.|anthropic\.claude-(?:3|(?:opus|sonnet)-4-(?:1|2025))")
_NO_TOOLS = re.compile(r"amazon\.titan|meta\.llama[23]-(?:8|13|70)b")
_NOT_IN_SCHEMAS = ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "oneOf")


class Bedrock(Dialect):
    """Bedrock, with an API key as a bearer token, or requests that AWS access keys have signed."""

    name = "bedrock"
    provider = "bedrock"

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """As for every dialect; the model is in the path."""
        call = super().parse(request, path, seed, accepts, models)
        match = _CONVERSE.fullmatch(path) or embeddings.PATH.fullmatch(path)
        call.model = match[1] if match else ""
        return call

    def turns(self, call: Call) -> list[Turn]:
        """The turns of ``system`` and ``messages``."""
        return bedrock_turns(call.payload)

    def key_of(self, call: Call) -> str | None:
        """The API key, or the id of the access key that signed."""
        match = _SIGNATURE.fullmatch(call.headers.get("authorization", ""))
        return match["key"] if match else bearer_token(call.headers)

    def reply(self, call: Call) -> Response:
        """Answers, or raises RequestRefused; checks path and key first, as the provider does."""
        listing = call.path in ("/foundation-models", "/inference-profiles")
        invoked = embeddings.PATH.fullmatch(call.path) is not None
        if not listing and not invoked and _CONVERSE.fullmatch(call.path) is None:
            self.refuse("Unknown operation", 404, name="UnknownOperationException")
        self._authenticate(call)
        if call.method != ("GET" if listing else "POST"):
            self.refuse("Unsupported method", 405, name="UnsupportedOperationException")
        if invoked:
            body, tokens = embeddings.embed(call.model, call.payload, self.refuse)
            headers = (("content-type", "application/json"), ("x-amzn-requestid", _request_id()))
            return Response(200, body, (*headers, ("x-amzn-bedrock-input-token-count", str(tokens))), (tokens, 0))
        return self._listing(call) if listing else self._converse(call)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused; the message names the part that asks for a stream."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, status: int = 400, name: str | None = None) -> NoReturn:
        """Raises RequestRefused with an error in AWS's form."""
        raise RequestRefused(self.error(status, message, name))

    def error(self, status: int, message: str, name: str | None = None) -> Response:
        """An error in AWS's form: its type is in a header. What checks the keys writes ``Message``."""
        named = name or BEDROCK_TYPES.get(status) or ("InternalServerException" if status >= 500 else "ValidationException")
        headers = (
            ("content-type", "application/json"),
            ("x-amzn-requestid", _request_id()),
            ("x-amzn-errortype", f"{named}:http://internal.amazon.com/coral/com.amazon.bedrock/"),
        )
        return Response(status, {"Message" if status == 403 else "message": message}, headers)

    def _authenticate(self, call: Call) -> None:
        given = call.headers.get("authorization", "")
        if not given:
            self.refuse("Missing Authentication Token", 403, name="MissingAuthenticationTokenException")
        if given.startswith("AWS4-"):
            self._check_signature(call, given)
        if not call.accepts(self.key_of(call) or ""):
            raise ListedError("auth")

    def _check_signature(self, call: Call, given: str) -> None:
        """Its form, what it covers, and its time. The signature itself needs the secret, which is not here."""
        match = _SIGNATURE.fullmatch(given)
        if match is None:
            self.refuse("Authorization header is malformed.", 403, name="IncompleteSignatureException")
        stamp = call.headers.get("x-amz-date", "")
        needed = {"host", "x-amz-date", *({"x-amz-security-token"} & call.headers.keys())}
        if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or stamp[:8] != match["day"] or not needed <= set(match["names"].split(";")):
            self.refuse("Date and host must be signed.", 403, name="IncompleteSignatureException")
        at = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
        if abs(time.time() - at) > _MAX_SKEW:
            self.refuse(f"Signature expired: {stamp} is too far from now (5 min.)", 403, name="InvalidSignatureException")

    def _converse(self, call: Call) -> Response:
        if call.json_problem:
            self.refuse(f"The request body is not valid JSON: {call.json_problem}", name="SerializationException")
        payload = call.payload
        if not isinstance(payload, dict):
            self.refuse("The request body is no JSON object", name="SerializationException")
        replayed = self.replayed(call)
        if replayed:
            return self._response({}, call.model, generate_answer(replayed), replayed.prompt_tokens())
        check(payload, REQUEST, "", self.refuse)
        payload = without_nulls(payload)
        model = _PREFIX.sub("", call.model)
        if is_unknown_model("bedrock", call.model) or _BAD_VERSION.fullmatch(call.model):
            raise ListedError("not_found")
        if model == call.model and _BY_PROFILE.match(model):
            self.refuse(
                f"Invocation of model ID {model} with on-demand throughput isn't supported. Retry your request with the ID or "
                "ARN of an inference profile that contains this model."
            )
        check_conversation(payload, call.model, self.refuse)
        settings = payload.get("inferenceConfig") or {}
        turns = self.turns(call)
        parsed = ParsedRequest("bedrock", call.model, turns, (call.seed, None), max_tokens=settings.get("maxTokens"))
        parsed.stop_sequences = tuple(settings.get("stopSequences") or ())
        self._read_tools(payload, model, parsed)
        self._read_format(payload, model, parsed)
        if check_thinking(payload, call.model, self.refuse):
            parsed.reasoning_tokens = count_tokens(reasoning_text()) + request_digest(parsed) % 40
        prompt = 7 + parsed.prompt_tokens() + count_json_tokens(payload.get("toolConfig")) + _media_tokens(payload)
        limits = model_limits("bedrock", model)
        if limits and prompt > limits.window:
            raise ListedError("context", requested=prompt, window=limits.window)
        if limits and (settings.get("maxTokens") or 0) > limits.output:
            self.refuse(
                f"The maximum tokens you requested exceeds the model limit of {limits.output}. Try again with a maximum tokens "
                f"value that is lower than {limits.output}."
            )
        parsed.canned = self.canned(call)
        return self._response(payload, call.model, generate_answer(parsed), prompt)

    def _read_tools(self, payload: Mapping[str, Any], model: str, parsed: ParsedRequest) -> None:
        config = payload.get("toolConfig") or {}
        specs = [tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool]
        if specs and _NO_TOOLS.match(model):
            self.refuse("This model doesn't support tool use.")
        names = [spec["name"] for spec in specs]
        if len(names) > len(set(names)):
            self.refuse("The model returned the following errors: tools: Tool names must be unique.")
        for index, spec in enumerate(specs):
            schema = spec["inputSchema"]["json"]
            if schema.get("type") != "object" or any(schema_error(subschema) for _, subschema in iter_schemas(schema)):
                self.refuse(
                    f"The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: object."
                )
        parsed.tools = [(spec["name"], spec["inputSchema"]["json"]) for spec in specs]
        choice = config.get("toolChoice") or {}
        if "tool" in choice:
            parsed.tools = [tool for tool in parsed.tools if tool[0] == choice["tool"]["name"]]
            if not parsed.tools:
                self.refuse(f"The tool {choice['tool']['name']} in toolChoice is not in toolConfig.tools.")
        parsed.must_call_tool = "any" in choice or "tool" in choice

    def _read_format(self, payload: Mapping[str, Any], model: str, parsed: ParsedRequest) -> None:
        wanted = ((payload.get("outputConfig") or {}).get("textFormat") or {}).get("structure", {}).get("jsonSchema")
        if wanted is None:
            return
        if _NO_JSON_SCHEMA.match(model):
            self.refuse(
                "This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again."
            )
        try:
            schema = json.loads(wanted["schema"])
        except (ValueError, RecursionError):
            schema = None
        if not isinstance(schema, dict):
            self.refuse("The value at outputConfig.textFormat.structure.jsonSchema.schema is not a valid JSON Schema.")
        for _, subschema in iter_schemas(schema):
            if schema_error(subschema):
                self.refuse(f"The model returned the following errors: Invalid schema: {schema_error(subschema)}")
            refused = [word for word in _NOT_IN_SCHEMAS if word in subschema]
            is_open = "object" in types_of(subschema) and subschema.get("additionalProperties") is not False
            if model.startswith("anthropic.") and (refused or is_open):
                what = f"property '{refused[0]}' is" if refused else "open objects are"
                self.refuse(f"The model returned the following errors: output_config.format.schema: {what} not supported")
        parsed.schema = schema

    def _response(self, payload: Mapping[str, Any], model: str, answer: Any, prompt: int) -> Response:
        body, tokens = answer_body(payload, model, answer, prompt)
        return Response(200, body, (("content-type", "application/json"), ("x-amzn-requestid", _request_id())), tokens)

    def _listing(self, call: Call) -> Response:
        headers = (("content-type", "application/json"), ("x-amzn-requestid", _request_id()))
        if call.path == "/foundation-models":
            wanted = call.query.get("byOutputModality")
            items = [_model(name) for name in call.models if not _PREFIX.match(name)]
            return Response(200, {"modelSummaries": [i for i in items if wanted in (None, *i["outputModalities"])]}, headers)
        names = [name for name in call.models if _PREFIX.match(name)]
        size, start = call.query.get("maxResults", "1000"), call.query.get("nextToken", "0")
        if not size.isdecimal() or not 1 <= int(size) <= 1000 or not start.isdecimal():
            self.refuse("1 validation error detected: Value at 'maxResults' failed to satisfy constraint: from 1 to 1000")
        end = int(start) + int(size)
        profiles = [_profile(name) for name in names[int(start) : end]]
        more = {"nextToken": str(end)} if end < len(names) else {}
        return Response(200, {"inferenceProfileSummaries": profiles, **more}, headers)


def _request_id() -> str:
    digits = random_id("", 32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _model(name: str) -> dict[str, Any]:
    return {
        "modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{name}",
        "modelId": name,
        "modelName": name.partition(".")[2],
        "providerName": name.partition(".")[0].title(),
        "inputModalities": ["TEXT"],
        "outputModalities": ["EMBEDDING" if "embed" in name else "TEXT"],
        "responseStreamingSupported": "embed" not in name,
        "customizationsSupported": [],
        "inferenceTypesSupported": ["INFERENCE_PROFILE" if _BY_PROFILE.match(name) else "ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    }


def _profile(name: str) -> dict[str, Any]:
    model = _PREFIX.sub("", name)
    return {
        "inferenceProfileId": name,
        "inferenceProfileName": model,
        "inferenceProfileArn": f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{name}",
        "models": [{"modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{model}"}],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def _media_tokens(payload: Mapping[str, Any]) -> int:
    blocks = [block for message in payload["messages"] for block in message["content"]]
    return sum(1200 for block in blocks if "image" in block or "document" in block)
