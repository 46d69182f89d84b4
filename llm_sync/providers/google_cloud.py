"""Where Google Cloud (Vertex AI) serves models: URLs from project and location."""

from __future__ import annotations

from llm_sync.config.models import GOOGLE_CLOUD, ProviderConfig
from llm_sync.errors import ConfigurationError


def on_google_cloud(config: ProviderConfig) -> bool:
    """Whether the entry says ``auth: google-cloud``."""
    return config.auth == GOOGLE_CLOUD


def host(location: str) -> str:
    """The API's host: one per region, one for ``global``, one per multi-region (``us``, ``eu``)."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def base_url(config: ProviderConfig) -> str:
    """Everything before ``/publishers/…``: ``base_url`` where one is set, else by ``project`` and ``location``.

    Raises ConfigurationError without a project.
    """
    if config.base_url:
        return config.base_url
    if not config.project:
        raise ConfigurationError(
            f"provider {config.name!r} has auth: google-cloud but no project",
            guidance="Set project, and location (default: global).",
        )
    location = config.location or "global"
    return f"{host(location)}/v1/projects/{config.project}/locations/{location}"
