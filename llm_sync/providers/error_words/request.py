"""The request is wrong and stays wrong, although the status means a server error, or success: InvalidRequestError."""

from llm_sync.errors import InvalidRequestError
from llm_sync.providers.error_words.entry import GOOD, SERVER, Meaning, Phrases, Words

REQUEST = Meaning(
    InvalidRequestError,
    words=(
        Words("unsupported_parameter unsupported_value unknown_parameter missing_required_parameter", "OpenAI", SERVER),
        Words("invalid_parameter_error invalidparameter missingparameter badrequest.toolarge", "DashScope, Ark", SERVER),
        Words("request_too_large", "Anthropic"),
        Words("previous_response_not_found", "OpenAI"),
        Words("exception_validation validationexception", "AWS", SERVER, vague=True),
        Words("base_resp:1042 base_resp:2013 base_resp:20132", "MiniMax", vague=True),
        Words("1210 1212 1213 1214 1215 1221 1222", "Zhipu, z.ai", vague=True),
        Words("error_code:3 error_code:336001 error_code:336002", "Baidu Qianfan", (GOOD,), vague=True),
        Words("error_code:336003 error_code:336006", "Baidu Qianfan", (GOOD,), vague=True),
        Words("invalid_request_error", "many", (GOOD,), vague=True),
    ),
    phrases=(
        Phrases(
            (
                r"\b(?:response|interaction|item|file|conversation|thread|batch)\b.{0,60}\bnot found\b",
                r"\b(?:container|vector store|tool_call_id)\b.{0,60}\bnot found\b",
            ),
            "OpenAI, Google: a 404 for something other than the model",
            ((404, 404),),
        ),
        Phrases(
            (
                r"\b(?:image|audio|video|file|vision|tool|function)s?(?: inputs?| calls?| calling)? (?:is|are) not supported",
                r"requires? --?jinja|--jinja flag|unsupported param(?:eter)?\b|unknown parameter",
                r"unrecognized request argument|\btype must be one of\b",
                r"extra inputs are not permitted|\bvalidation errors? for\b|\binput should be\b",
                r"\bfield required\b",
                r"does not support (?:\w+ )?(?:tools?|tool_choice|images?|vision|function|thinking|chat|audio|embeddings?)",
                r"roles must alternate|failed to parse grammar|json schema conversion failed",
                r"(?:apply|parse) (?:the )?chat template",
                r"cannot use custom grammar|unable to generate parser for this template",
                r"invalid (?:parameter|argument|json schema|image url)",
            ),
            "llama.cpp, FastAPI servers, gateways",
            (GOOD, (500, 501)),
        ),
    ),
)
