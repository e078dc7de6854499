"""Expressions of the IR: sizes, shapes and the eight kinds of nodes.

    Expr = Const(value) | Ref(kind, name, dims, lag) | Apply(op, args)
         | Slice(arg, axis, start, stop) | Concat(args, axis) | Broadcast(arg, target)
         | Identity(dim) | SizeValue(dim)

Nodes are frozen, compare and hash by structure (spans take no part) and check their own shapes
when they are built: an ill-shaped node cannot exist. Shapes are symbolic and never hold the
batch: a value is *batched* where it reads an input or a state, and every operator carries the
batch along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeVar, dataclass_transform

from gatec.errors import Span
from gatec.ops import OPS, Kind, Op

# --- Sizes and shapes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Dim:
    """A size: an integer combination of size names plus a constant, e.g. `hidden_size + 2`."""

    terms: tuple[tuple[str, int], ...] = ()
    const: int = 0

    @staticmethod
    def of(value: Dim | int | str) -> Dim:
        if isinstance(value, Dim):
            return value
        return Dim((), value) if isinstance(value, int) else Dim(((value, 1),), 0)

    def __add__(self, other: Dim | int) -> Dim:
        other = Dim.of(other)
        counts = dict(self.terms)
        for name, count in other.terms:
            counts[name] = counts.get(name, 0) + count
        terms = tuple(sorted((name, count) for name, count in counts.items() if count))
        return Dim(terms, self.const + other.const)

    def __mul__(self, factor: int) -> Dim:
        terms = tuple((name, count * factor) for name, count in self.terms if factor)
        return Dim(terms, self.const * factor)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + Dim.of(other) * -1

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number for given sizes."""
        return self.const + sum(sizes[name] * count for name, count in self.terms)

    def __str__(self) -> str:
        parts = [name if count == 1 else f"{count} * {name}" for name, count in self.terms]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts).replace("+ -", "- ")


Shape = tuple[Dim, ...]
HIDDEN = Dim.of("hidden_size")
INPUT = Dim.of("input_size")


def shape_text(shape: Shape) -> str:
    """A shape in words: `scalar`, `vector (hidden_size)`, `matrix (hidden_size x input_size)`."""
    kind = ("scalar", "vector", "matrix")[len(shape)]
    return f"{kind} ({' x '.join(map(str, shape))})" if shape else kind


# --- Expressions --------------------------------------------------------------------------------

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def _node(cls: type[_T]) -> type[_T]:
    """A frozen dataclass whose hash is computed once: trees are dictionary keys everywhere.

    Neither hash nor comparison recurses, so that no depth of nesting is too deep.
    """
    made = dataclass(frozen=True, repr=True)(cls)
    computed = made.__hash__

    def cached(self: Any) -> int:
        try:
            return self._hash  # type: ignore[no-any-return]
        except AttributeError:
            object.__setattr__(self, "_hash", computed(self))
            return self._hash  # type: ignore[no-any-return]

    def same(self: Any, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, made) or hash(self) != hash(other):
            return False
        one, two = _representative(self), _representative(other)
        if one is two:
            return True
        if not _same_tree(one, two):
            return False
        two.__dict__["_same"] = one  # the next comparison is quick
        return True

    made.__hash__ = cached  # type: ignore[method-assign]
    made.__eq__ = same  # type: ignore[method-assign]
    made._own = tuple(  # type: ignore[attr-defined]
        f.name
        for f in made.__dataclass_fields__.values()  # type: ignore[attr-defined]
        if f.compare and f.name not in ("arg", "args")
    )
    return made


def _representative(node: Any) -> Any:
    """One of the nodes that this one was found to be equal to."""
    found = node
    while (other := found.__dict__.get("_same")) is not None:
        found = other
    while node is not found:
        node.__dict__["_same"], node = found, node.__dict__["_same"]
    return found


def _same_tree(one: Any, other: Any) -> bool:
    stack, seen = [(one, other)], set()
    while stack:
        a, b = stack.pop()
        if a is b or (id(a), id(b)) in seen:
            continue
        seen.add((id(a), id(b)))
        if type(a) is not type(b) or hash(a) != hash(b) or len(a.children) != len(b.children):
            return False
        if any(getattr(a, f) != getattr(b, f) for f in a._own):
            return False
        stack.extend(zip(a.children, b.children, strict=True))
    return True


class Expr:
    """An expression. Subclasses are frozen; `shape` and `batched` are set when one is built."""

    shape: Shape
    batched: bool
    span: Span | None

    @property
    def children(self) -> tuple[Expr, ...]:
        return ()

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        """This node over other children (the node itself where they are the same)."""
        return self

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_constant(self) -> bool:
        return isinstance(self, Const)

    # What the rows of the operator table use.
    def apply(self, op: str, *others: Expr | float) -> Expr:
        """`op` applied to this and other operands."""
        return call(op, self, *others)

    def __add__(self, other: Expr | float) -> Expr:
        return call("add", self, other)

    def __radd__(self, other: Expr | float) -> Expr:
        return call("add", other, self)

    def __sub__(self, other: Expr | float) -> Expr:
        return call("add", self, call("neg", other))

    def __rsub__(self, other: Expr | float) -> Expr:
        return call("add", other, call("neg", self))

    def __mul__(self, other: Expr | float) -> Expr:
        return call("mul", self, other)

    def __rmul__(self, other: Expr | float) -> Expr:
        return call("mul", other, self)

    def __truediv__(self, other: Expr | float) -> Expr:
        return call("div", self, other)

    def __rtruediv__(self, other: Expr | float) -> Expr:
        return call("div", other, self)

    def __neg__(self) -> Expr:
        return call("neg", self)

    def broadcast_like(self, other: Expr) -> Expr:
        """This scalar in every unit of `other`'s shape."""
        return Broadcast(self, other.shape) if other.shape else self

    def size(self) -> Expr:
        """The number of units of this expression, as an expression."""
        sizes = [SizeValue(dim) for dim in self.shape]
        return Const(Fraction(1)) if not sizes else call("mul", *sizes) if sizes[1:] else sizes[0]

    def zero(self) -> Expr:
        return Const(Fraction(0))

    def one(self) -> Expr:
        return Const(Fraction(1))


def _set(node: Expr, shape: Shape, batched: bool) -> None:
    object.__setattr__(node, "shape", shape)
    object.__setattr__(node, "batched", batched)
    hash(node)  # now, while the children's are known: hashing a deep tree later would recurse


@_node
class Const(Expr):
    """A number of the text, exact."""

    value: Fraction
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _set(self, (), False)


@_node
class Ref(Expr):
    """A name's value.

    kind    what it names                                    lag
    param   a parameter                                      0
    const   a constant (a constructor keyword)               0
    input   an input at t - lag                              >= 0
    state   a state's value at t - lag                       >= 1
    var     a quantity computed by an equation, at t         0
    grad    backward only: the cotangent that arrives from outside or from t+1
    """

    kind: str
    name: str
    dims: Shape
    lag: int = 0
    # A variable is batched where its equation is; the other kinds say it themselves.
    is_batched: bool = True
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind in ("param", "const"):
            object.__setattr__(self, "is_batched", False)
        _set(self, self.dims, self.is_batched)


@_node
class Apply(Expr):
    """An operator over operands; the shape follows from the operator's row."""

    op: str
    args: tuple[Expr, ...]
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        row = OPS[self.op]
        if row.arity is not None and len(self.args) != row.arity:
            raise ValueError(f"{self.op} takes {row.arity} operands, not {len(self.args)}")
        batched = self.op != "batch_sum" and any(arg.batched for arg in self.args)
        _set(self, result_shape(row, tuple(arg.shape for arg in self.args)), batched)

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return self if children == self.args else Apply(self.op, children, self.span)


@_node
class Slice(Expr):
    """Units `start` to `stop` (excluded) along an axis."""

    arg: Expr
    axis: int
    start: Dim
    stop: Dim
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        shape = list(self.arg.shape)
        shape[self.axis] = self.stop - self.start
        _set(self, tuple(shape), self.arg.batched)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return self if children[0] is self.arg else replace(self, arg=children[0])


@_node
class Concat(Expr):
    """Vectors or matrices joined along an axis; a scalar joins vectors as one unit."""

    args: tuple[Expr, ...]
    axis: int = 0
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        shapes = [arg.shape or (Dim((), 1),) for arg in self.args]
        shape = list(shapes[0])
        shape[self.axis] = sum((s[self.axis] for s in shapes), Dim())
        for other in shapes:
            rest = [d for i, d in enumerate(other) if i != self.axis]
            if rest != [d for i, d in enumerate(shape) if i != self.axis]:
                raise ValueError(f"cannot join {shape_text(other)} with {shape_text(shapes[0])}")
        _set(self, tuple(shape), any(arg.batched for arg in self.args))

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return self if children == self.args else Concat(children, self.axis, self.span)


@_node
class Broadcast(Expr):
    """A scalar in every unit of a shape."""

    arg: Expr
    target: Shape
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.arg.shape:
            raise ValueError("only a scalar is broadcast")
        _set(self, self.target, self.arg.batched)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return self if children[0] is self.arg else replace(self, arg=children[0])


@_node
class Identity(Expr):
    """The identity matrix of a size."""

    dim: Dim
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _set(self, (self.dim, self.dim), False)


@_node
class SizeValue(Expr):
    """A size as a number, e.g. the divisor of a mean."""

    dim: Dim
    span: Span | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _set(self, (), False)


def number(value: float | Fraction) -> Const:
    """A constant from a Python number, exactly as its shortest decimal reads."""
    return Const(value if isinstance(value, Fraction) else Fraction(repr(value)))


def call(op: str, *args: Expr | float, span: Span | None = None) -> Expr:
    """`op` applied to operands; sums and products are kept flat, Python numbers become `Const`."""
    operands = [arg if isinstance(arg, Expr) else number(arg) for arg in args]
    if OPS[op].arity is None:
        flat: list[Expr] = []
        for operand in operands:
            nested = isinstance(operand, Apply) and operand.op == op
            flat.extend(operand.children if nested else (operand,))
        operands = flat
    return Apply(op, tuple(operands), span)


def result_shape(op: Op, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of a result, or ValueError where the operands do not fit."""
    if op.kind is Kind.REDUCTION:
        return ()
    if op.kind in (Kind.NORMALISATION, Kind.BATCH):
        return shapes[0]
    if op.signature is not None:
        return _einsum_shape(op, shapes)
    full = next((shape for shape in shapes if shape), ())
    for shape in shapes:
        if shape and shape != full:
            raise ValueError(f"{op.name}: {shape_text(full)} against {shape_text(shape)}")
    return full


def _einsum_shape(op: Op, shapes: tuple[Shape, ...]) -> Shape:
    assert op.signature is not None
    inputs, output = op.signature.split("->")
    dims: dict[str, Dim] = {}
    for letters, shape in zip(inputs.split(","), shapes, strict=True):
        if len(letters) != len(shape):
            raise ValueError(f"{op.name}: operand is a {shape_text(shape)}")
        for letter, dim in zip(letters, shape, strict=True):
            if dims.setdefault(letter, dim) != dim:
                raise ValueError(f"{op.name}: size {dims[letter]} against {dim}")
    return tuple(dims[letter] for letter in output)


def walk(expr: Expr) -> Iterator[Expr]:
    """Every distinct node, parents first, without recursion; shared nodes once."""
    seen: set[Expr] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack.extend(reversed(node.children))


def bottom_up(expr: Expr) -> list[Expr]:
    """Every distinct node of an expression, children before their parents."""
    order: list[Expr] = []
    done: set[Expr] = set()
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready or not node.children:
            done.add(node)
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))
    return order


def rewrite(expr: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """The tree rebuilt bottom-up, `rule` applied to every node once its children are done.

    Equal subtrees are rewritten once, so the cost is that of the graph, not of the tree.
    """
    done: dict[Expr, Expr] = {}
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if not ready and node.children:
            stack.append((node, True))
            stack.extend((child, False) for child in node.children)
        else:
            children = tuple(done[child] for child in node.children)
            done[node] = rule(node.with_children(children) if children else node)
    return done[expr]


def replaced(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """The expression with whole subtrees replaced, outer ones first; without recursion."""
    done: dict[Expr, Expr] = {}
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if node in values:
            done[node] = values[node]
        elif ready or not node.children:
            children = tuple(done[child] for child in node.children)
            done[node] = node.with_children(children) if children else node
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in node.children)
    return done[expr]
