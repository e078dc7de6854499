"""Are two cells the same function? Normal forms, parameter maps, proofs, counterexamples.

`check.check(mine, theirs)` gives a `verdict.Verdict`. docs/equivalence.md says what is decided,
what is searched and what is not attempted.
"""
