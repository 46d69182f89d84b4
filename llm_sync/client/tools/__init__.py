"""Tools: functions that a model may call, and the loop that calls them. Imported when the first one is used."""

from __future__ import annotations

from llm_sync.client.tools.run import run_tools as run_tools
from llm_sync.client.tools.tool import Tool as Tool
from llm_sync.client.tools.tool import Tools as Tools

__all__ = ["Tool", "Tools", "run_tools"]
