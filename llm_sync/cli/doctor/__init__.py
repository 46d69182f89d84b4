"""The checks of ``llm-sync doctor``: what keeps a request from being answered on this machine. They change nothing."""
