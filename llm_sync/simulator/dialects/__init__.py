"""The simulated providers, one folder per dialect: which requests each accepts, and how it answers.

``base`` is what they share; ``recordings`` serves recorded exchanges.
"""
