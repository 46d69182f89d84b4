"""The options of each command, one file per command with ``add(parser)``, and the options that several commands share.

Imports the standard library only: help, man page and completions are made from it.
"""
