"""Where Amazon Bedrock is: the region of a provider, and the hosts in it."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from llm_sync.config.models import ProviderConfig
from llm_sync.errors import ConfigurationError

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}")
_RUNTIME = re.compile(r"bedrock-runtime(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.\S+)", re.IGNORECASE)
# Partitions of AWS by the beginning of their regions' names; all others are in the first one.
_DOMAINS = {
    "": "amazonaws.com",
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


def region_of(config: ProviderConfig) -> str:
    """The region: the configured one, that of base_url, or that of the environment.

    Raises ConfigurationError without one, and for a name that no region has.
    """
    if config.region:
        return _checked(config.region, config, "region")
    found = _RUNTIME.fullmatch(urlsplit(config.base_url or "").hostname or "")
    if found is not None:
        return found["region"]
    variable = next((name for name in REGION_VARIABLES if os.environ.get(name)), None)
    if variable is None:
        raise ConfigurationError(
            f"provider {config.name!r} has no region",
            guidance="Set region, as in: region: us-east-1; or the variable AWS_REGION.",
        )
    return _checked(os.environ[variable], config, variable)


def runtime_url(region: str) -> str:
    """The address of the models in a region."""
    return f"https://bedrock-runtime.{region}.{_domain(region)}"


def control_url(base_url: str) -> str:
    """Where models are listed: another host than the one that runs them, but for a gateway, which has one for all."""
    parts = urlsplit(base_url)
    found = _RUNTIME.fullmatch(parts.hostname or "")
    if found is None:
        return base_url
    return f"{parts.scheme}://bedrock{found['fips'] or ''}.{found['region']}.{found['domain']}"


def is_aws(base_url: str) -> bool:
    """Whether a URL is at a host of AWS: only there credentials go that the configuration does not name."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    return parts.scheme == "https" and host.endswith((*(f".{domain}" for domain in _DOMAINS.values()), ".api.aws"))


def _domain(region: str) -> str:
    beginnings = sorted(_DOMAINS, key=len, reverse=True)
    return next(_DOMAINS[beginning] for beginning in beginnings if region.startswith(beginning))


def _checked(region: str, config: ProviderConfig, where: str) -> str:
    if _REGION.fullmatch(region) is None:
        raise ConfigurationError(
            f"provider {config.name!r}: {region[:40]!r} in {where} is not the name of an AWS region",
            guidance="Write it as AWS does, as in: us-east-1, eu-central-1.",
        )
    return region
