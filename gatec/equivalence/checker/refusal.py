"""Why a proof is not accepted."""

from __future__ import annotations


class Refused(Exception):
    """A proof that does not show what it claims. The message says where."""


class OutOfScope(Refused):
    """Steps in order, but what they show is weaker than the claim.

    The cells are defined for different values, or a limit would have to pass through a jump.
    """
