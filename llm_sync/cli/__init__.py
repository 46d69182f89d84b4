"""The command line: ``llm-sync``. Nothing of the library imports this room."""
