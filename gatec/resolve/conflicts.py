"""What is said where kinds or sizes do not fit: both places, and why each is what it is."""

from __future__ import annotations

from collections.abc import Sequence

from gatec.errors import Diagnostic, Note, Span
from gatec.resolve.quantities import Quantity
from gatec.resolve.sizes import is_unknown
from gatec.resolve.typed import Typed
from gatec.resolve.types import Solver, Type

_VERBS = {"add": "added to", "div": "divided by", "compare": "compared with"}


class Conflicts:
    """Writes the diagnostics of one cell's inference."""

    def __init__(self, solver: Solver, quantities: Sequence[Quantity]) -> None:
        self.solver, self.quantities = solver, quantities
        self._known_owners: tuple[int, dict[str, str]] = (-1, {})
        solver.owners = self.owners

    def owners(self) -> dict[str, str]:
        """Whose size each unknown size is: 'size of x'."""
        version, owners = self._known_owners
        if version == self.solver.sizes.version:
            return owners
        owners = {}
        self._known_owners = (self.solver.sizes.version, owners)
        order = {"input": 0, "var": 1}
        for quantity in sorted(self.quantities, key=lambda q: order.get(q.kind, 2)):
            dims = [self.solver.sizes.resolve(dim) for dim in quantity.type.root().dims]
            words = ("size",) if len(dims) == 1 else ("rows", "columns")
            for word, dim in zip(words, dims, strict=False):
                if len(dim.terms) == 1 and dim.const == 0 and is_unknown(dim.terms[0][0]):
                    owners.setdefault(dim.terms[0][0], f"{word} of {quantity.key}")
        return owners

    def _text(self, type_: Type) -> str:
        return self.solver.text(type_)

    def _origin(self, type_: Type, fallback: Span) -> Span:
        return type_.root().origin or fallback

    def equation(self, quantity: Quantity, value: Typed) -> Diagnostic:
        """A name and its right side."""
        words = self._text(quantity.type), self._text(value.type)
        place = self._origin(quantity.type, quantity.span)
        return Diagnostic(
            "E0302",
            f"'{quantity.key}' is a {words[0]}, but this is a {words[1]}",
            value.span,
            "the two must have one kind and one size",
            (Note(f"'{quantity.key}' is a {words[0]} here", place),),
        )

    def scalar(self, node: Typed) -> Diagnostic:
        """A scalar where the context has another kind."""
        return Diagnostic(
            "E0302",
            f"this is a scalar, but a {self._text(node.type)} is needed here",
            node.span,
            "the two must have one kind",
            (Note("what it must fit", self._origin(node.type, node.span)),),
        )

    def result(self, node: Typed, type_: Type) -> Diagnostic:
        """The kind of an operation, and what its context needs."""
        return Diagnostic(
            "E0302",
            f"this is a {self._text(type_)}, but a {self._text(node.type)} is needed here",
            node.span,
            "the two must have one kind and one size",
            (Note("what it must fit", self._origin(node.type, node.span)),),
        )

    def operands(self, node: Typed, first: Typed, other: Typed) -> Diagnostic:
        """Two operands of an operation that works unit by unit."""
        texts = self._text(first.type), self._text(other.type)
        verb = _VERBS.get(node.kind, "combined element by element with")
        return Diagnostic(
            "E0303",
            f"a {texts[0]} is {verb} a {texts[1]}",
            other.span,
            "element-wise operations need operands of one shape, or a scalar",
            (Note(f"this is a {texts[0]}", first.span), *_why(first), *_why(other)),
        )

    def joined(self, node: Typed) -> Diagnostic:
        kinds = ", ".join(self._text(arg.type) for arg in node.args)
        return Diagnostic(
            "E0304",
            f"these cannot be joined: {kinds}",
            node.span,
            "join vectors with vectors, and matrices of one height (or one width)",
        )

    def cut(self, node: Typed) -> Diagnostic:
        """The right side of a stack of gates."""
        return Diagnostic(
            "E0305",
            f"a {self._text(node.args[0].type)} cannot be cut into {node.data[1]} equal gates",
            node.span,
            "the right side of a stack is a vector with as many units as all its gates",
        )

    def diagonal(self, node: Typed) -> Diagnostic:
        return Diagnostic(
            "E0312",
            f"a diagonal matrix of a {self._text(node.args[0].type)}",
            node.span,
            "it is made of a vector",
        )

    def star(self, node: Typed, quantity: Quantity) -> Diagnostic:
        """A warning of `W * x_t`."""
        return Diagnostic(
            "E0314",
            f"'{quantity.key}' is a vector here: '*' is the element-wise product",
            node.span,
            f"for a matrix product write {quantity.key} x_t without '*'; if a vector is meant, "
            f"say `param {quantity.key} : vector`",
            severity="warning",
        )


def _why(node: Typed) -> tuple[Note, ...]:
    if node.kind != "ref":
        return ()
    quantity: Quantity = node.data[0]
    if quantity.rule and quantity.kind == "param":
        return (Note(f"'{quantity.key}': {quantity.rule}", quantity.span),)
    return ()
