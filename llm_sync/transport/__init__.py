"""HTTP for the dialects: pooled connections over requests and urllib3, wall-clock timeouts, one error per kind of trouble.

No other room imports requests or urllib3.
"""
