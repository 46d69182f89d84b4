"""What proves to AWS who asks: which of several ways is taken, where it may go, and what becomes of it when it expires."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest
from llm_sync.providers.bedrock.regions import REGION_VARIABLES, control_url, runtime_url

PING = ModelRequest("ping", "some-model")
ANSWER = {"output": {"message": {"content": [{"text": "Hello"}]}}, "stopReason": "end_turn"}
EXPIRED = {"message": "The security token included in the request is expired"}
VARIABLES = (
    *("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *REGION_VARIABLES,
)


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No AWS account of whoever runs the tests; the region is known."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Access keys in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-not-sent")


class Botocore:
    """A double of what is used of botocore. ``found``: the credentials of each lookup in turn."""

    def __init__(self, *found: Any) -> None:
        self.found = list(found)
        self.profiles: list[str | None] = []


@pytest.fixture
def botocore(monkeypatch: pytest.MonkeyPatch) -> Botocore:
    """A botocore that finds temporary keys, other ones at each lookup."""
    double = Botocore(("AKID1", "secret-one", "token-one"), ("AKID2", "secret-two", "token-two"))

    class Session:
        available_profiles = ("work",)

        def __init__(self, profile: str | None) -> None:
            double.profiles.append(profile)

        def set_config_variable(self, name: str, value: str) -> None:
            assert (name, value) == ("region", "eu-central-1")

        def get_scoped_config(self) -> dict[str, str]:
            return {}

        def get_credentials(self) -> Any:
            key, secret, token = double.found.pop(0)
            frozen = types.SimpleNamespace(access_key=key, secret_key=secret, token=token)
            return types.SimpleNamespace(get_frozen_credentials=lambda: frozen)

    package = types.ModuleType("botocore")
    exceptions, session = types.ModuleType("botocore.exceptions"), types.ModuleType("botocore.session")
    exceptions.BotoCoreError = type("BotoCoreError", (Exception,), {})  # type: ignore[attr-defined]
    session.Session = Session  # type: ignore[attr-defined]
    package.exceptions, package.session = exceptions, session  # type: ignore[attr-defined]
    for module in (package, exceptions, session):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return double


def authorization(made: Any) -> str:
    """The header of the last request."""
    return str(made.web.sent[-1].headers.get("Authorization", ""))


def test_an_api_key_comes_before_access_keys(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch, keys: None) -> None:
    """As with AWS's own clients."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-0123456789")
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None)
    made.generate_response(PING)
    assert authorization(made) == "Bearer bedrock-api-key-0123456789"
    assert made.web.sent[0].url == "https://bedrock-runtime.eu-central-1.amazonaws.com/model/some-model/converse"


def test_access_keys_sign(provider: Any, reply: Any, keys: None) -> None:
    """Without an API key; the secret is not sent, and the region and service are in the scope."""
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None)
    made.generate_response(PING)
    assert authorization(made).startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=" in authorization(made)
    assert "a-secret" not in str(made.web.sent)
    assert made.key_source() == "AWS_ACCESS_KEY_ID"


def test_each_attempt_is_signed_anew(provider: Any, reply: Any, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature is valid for minutes only: a retry has its own time."""
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None)
    for at in (1_700_000_000.0, 1_700_000_300.0):
        monkeypatch.setattr("llm_sync.providers.bedrock.credentials.time.time", lambda at=at: at)
        made.generate_response(PING)
    dates = [sent.headers["X-Amz-Date"] for sent in made.web.sent]
    assert dates == ["20231114T221320Z", "20231114T221820Z"]
    assert made.web.sent[0].headers["Authorization"] != made.web.sent[1].headers["Authorization"]


@pytest.mark.parametrize(
    "url", ["https://gateway.example", "http://127.0.0.1:1", "http://bedrock-runtime.us-east-1.amazonaws.com"]
)
def test_credentials_of_the_environment_go_to_aws_only(provider: Any, reply: Any, keys: None, url: str) -> None:
    """Another host gets no signature and no session token unless the configuration says so; nor does an open connection."""
    made = provider("bedrock", reply(ANSWER), key=None, base_url=url)
    made.generate_response(PING)
    assert not authorization(made)
    made = provider("bedrock", reply(ANSWER), key=None, base_url=url, auth="aws")
    made.generate_response(PING)
    assert authorization(made)


def test_a_header_of_ones_own_is_left_alone(provider: Any, reply: Any, keys: None) -> None:
    """Who sets Authorization in the configuration signs nothing."""
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None, headers={"authorization": "mine"})
    made.generate_response(PING)
    assert {name: value for name, value in made.web.sent[0].headers.items() if "auth" in name.lower()} == {
        "authorization": "mine"
    }


def test_half_a_pair_is_named(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that is missing, before anything is queued; an impossible one is not shown."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None)
    with pytest.raises(errors.AuthenticationError, match="AWS_SECRET_ACCESS_KEY is not set"):
        made.prepare(PING)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden\nHost: evil")
    with pytest.raises(errors.AuthenticationError, match="AWS_SECRET_ACCESS_KEY cannot be an access key") as caught:
        made.prepare(PING)
    assert "hidden" not in str(caught.value)


def test_without_any_credential_the_api_key_is_asked_for(provider: Any, reply: Any) -> None:
    """The error names the variable."""
    with pytest.raises(errors.AuthenticationError, match="AWS_BEARER_TOKEN_BEDROCK is not set"):
        provider("bedrock", reply(ANSWER), key=None, base_url=None).prepare(PING)


def test_a_profile_needs_botocore(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says how to install it."""
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(errors.ConfigurationError, match="botocore") as caught:
        provider("bedrock", reply(ANSWER), key=None, base_url=None, profile="work").generate_response(PING)
    assert "llm-sync[bedrock]" in (caught.value.guidance or "")


def test_a_profile_signs(provider: Any, reply: Any, botocore: Botocore, keys: None) -> None:
    """Even beside keys in the environment; its session token is signed and sent."""
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None, profile="work")
    made.generate_response(PING)
    assert "Credential=AKID1/" in authorization(made)
    assert "x-amz-date;x-amz-security-token," in authorization(made)
    assert made.web.sent[0].headers["X-Amz-Security-Token"] == "token-one"
    assert botocore.profiles == ["work"]
    made.check()


def test_a_profile_that_is_not_there(provider: Any, reply: Any, botocore: Botocore) -> None:
    """``check`` says so, and asks nobody."""
    with pytest.raises(errors.AuthenticationError, match="AWS profile play: there is no such profile"):
        provider("bedrock", reply(ANSWER), key=None, base_url=None, profile="play").check()


def test_files_of_aws_are_used_where_there_are_any(provider: Any, reply: Any, botocore: Botocore, tmp_path: Path) -> None:
    """Without a variable or a setting, as AWS's own clients do."""
    (tmp_path / "credentials").write_text("[default]\n")
    made = provider("bedrock", reply(ANSWER), key=None, base_url=None)
    made.generate_response(PING)
    assert (made.key_source(), botocore.profiles) == ("AWS's credential files", [None])


@pytest.mark.parametrize("named", [{"x_amzn_errortype": "ExpiredTokenException:http://internal.amazon.com/"}, {}])
def test_an_expired_token_is_renewed_once(provider: Any, reply: Any, botocore: Botocore, named: dict[str, str]) -> None:
    """AWS says 403, not 401: the attempt is made again with new keys; what was redacted stays so."""
    made = provider("bedrock", reply(EXPIRED, 403, **named), reply(ANSWER), key=None, base_url=None, profile="work")
    assert made.generate_response(PING).text == "Hello"
    assert [sent.headers["X-Amz-Security-Token"] for sent in made.web.sent] == ["token-one", "token-two"]


def test_a_403_about_permissions_renews_nothing(provider: Any, reply: Any, botocore: Botocore) -> None:
    """Other keys of the same user would be refused, too."""
    refused = reply({"Message": "User: x is not authorized to perform: bedrock:InvokeModel"}, 403)
    with pytest.raises(errors.PermissionDeniedError):
        provider("bedrock", refused, key=None, base_url=None, profile="work").generate_response(PING)
    assert len(botocore.found) == 1


def test_an_echoed_secret_is_not_shown(provider: Any, reply: Any, botocore: Botocore) -> None:
    """Neither the secret nor the session token, in the message or the body of an error."""
    made = provider("bedrock", reply({"message": "bad: token-one secret-one"}, 400), key=None, base_url=None, profile="work")
    with pytest.raises(errors.InvalidRequestError) as caught:
        made.generate_response(PING)
    assert "token-one" not in repr(vars(caught.value))
    assert "secret-one" not in repr(vars(caught.value))


# Regions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-gov-west-1", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        ("us-isob-east-1", "bedrock-runtime.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_partitions_have_hosts_of_their_own(region: str, host: str) -> None:
    """Government, China, Europe's sovereign cloud."""
    assert runtime_url(region) == f"https://{host}"


def test_models_are_listed_at_another_host() -> None:
    """The control plane's; a gateway has one for all."""
    assert control_url("https://bedrock-runtime-fips.us-east-1.amazonaws.com") == "https://bedrock-fips.us-east-1.amazonaws.com"
    assert control_url("https://gateway.example/aws") == "https://gateway.example/aws"


@pytest.mark.parametrize("region", ["", "us-east", "US-EAST-1", "us-east-1.evil.example/", "us-east-1\n", "../x", "a@b-c-1"])
def test_what_is_no_region_is_refused(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """It would become a part of the host that gets the key."""
    monkeypatch.setenv("AWS_REGION", region)
    with pytest.raises(errors.ConfigurationError, match="region"):
        provider("bedrock", reply(ANSWER), base_url=None).prepare(PING)


def test_a_region_is_needed(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no default: data stay where the user says."""
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(errors.ConfigurationError, match="has no region") as caught:
        provider("bedrock", reply(ANSWER), base_url=None).prepare(PING)
    assert "AWS_REGION" in (caught.value.guidance or "")
