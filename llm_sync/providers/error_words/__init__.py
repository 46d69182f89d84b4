"""The words of errors, as data: one table for each meaning, collected from the providers' documentation and from traffic.

Each entry names the statuses it may decide over, the dialects it is valid in, and who sends it. What a code says beats what
the message says; vague words come after both. ``lookup`` has the one function that reads the tables.
They are imported on the first error, not at start.
"""
