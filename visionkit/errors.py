"""Name the errors whose message is all that a user needs: commands print them without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can put right; the message says what was wrong, what is allowed and what to type."""


class ConfigError(UserError):
    """A setting is missing, contradictory or unknown."""


class DataError(UserError):
    """A file of the user's data set cannot be used; the message names it."""
