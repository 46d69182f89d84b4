"""Conversations that ``generate`` keeps, where a user wants that: one JSON Lines file for each, in the user's state folder.

Imported only where a history is kept or looked at.
"""

from __future__ import annotations
