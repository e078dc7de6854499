"""Limit cases: gates that are constant only as a bias goes to infinity.

A cell made of continuous functions goes to a limit when some of its values do, step by step. So
it is enough that whatever depends on `infinity` does so through functions that are, by proof,
polynomials in sigmoid(infinity), and that nothing in the cell jumps.
"""

from __future__ import annotations

from fractions import Fraction

from gatec.equivalence.checker.algebra import Algebra, postorder, thawed
from gatec.equivalence.checker.refusal import OutOfScope, Refused
from gatec.equivalence.checker.replay import Replay
from gatec.equivalence.checker.statement import Equations, substituted
from gatec.equivalence.steps import INFINITE, Proof
from gatec.expr import Apply, Broadcast, Const, Expr, Ref
from gatec.ops import OPS, Kind


def in_the_limit(proof: Proof, equations: Equations, replay: Replay) -> Equations:
    """mine with its infinite gates at their limits; Refused where they do not have those."""
    _continuous(equations)
    for gate, value in proof.limits.items():
        number = _limit(gate, replay)
        inner = value.arg if isinstance(value, Broadcast) else value
        if inner != Const(number) or value.shape != gate.shape:
            raise Refused("a gate has another limit")
    made = substituted(equations.ordered, lambda ref: ref, proof.limits)
    for node in postorder(made.values.values()):
        if isinstance(node, Ref) and node.name == INFINITE:
            raise Refused("something else depends on infinity")
    return made


def _limit(gate: Expr, replay: Replay) -> Fraction:
    """What a function becomes as `infinity` goes to infinity."""
    algebra = replay.laws.algebra
    if not isinstance(gate, Apply) or OPS[gate.op].kind is not Kind.POINTWISE:
        raise Refused("a limit of what is no function")
    total = Fraction(0)
    for term, count in replay.closed(gate).items():
        if not all(power > 0 and _is_infinite(algebra, atom) for atom, power in term):
            raise Refused("a gate depends on more than infinity")
        total += count
    return total


def _is_infinite(algebra: Algebra, atom: int) -> bool:
    """Whether an atom is sigmoid(c infinity) for some c > 0."""
    made = algebra.atoms[atom]
    if made.op != "sigmoid":
        return False
    inner = thawed(made.args[0])
    if len(inner) != 1:
        return False
    ((term, count),) = inner.items()
    if count <= 0 or len(term) != 1 or term[0][1] != 1:
        return False
    leaf = algebra.atoms[term[0][0]]
    ref = leaf.detail[0] if leaf.op == "leaf" else None
    return isinstance(ref, Ref) and ref.kind == "param" and ref.name == INFINITE


def _continuous(equations: Equations) -> None:
    """No value that depends on a state or on infinity jumps."""
    moving: set[Expr] = set()
    for equation in equations.ordered:
        for node in postorder([equation.value]):
            moves = any(child in moving for child in node.children)
            if isinstance(node, Ref):
                moves = node in moving or node.kind == "state" or node.name == INFINITE
            if not moves:
                continue
            moving.add(node)
            if isinstance(node, Apply) and (node.op == "where" or not OPS[node.op].continuous):
                raise OutOfScope("a limit of a cell that jumps")
        if equation.value in moving:
            moving.add(equation.ref)
