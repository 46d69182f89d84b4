"""Behaviour scripts: what a simulated provider does to which request (docs/testing.md)."""

from __future__ import annotations

from llm_sync.simulator.behaviour.script import Performance, Script, load_script, shipped

__all__ = ["Performance", "Script", "load_script", "shipped"]
