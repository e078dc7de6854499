"""Cells rewritten by laws that hold (the same function), and by changes that do not.

`Rewriter.disguised` applies random rewrites: each keeps the function for all values, up to a map of
parameters that is one-to-one or onto. They are written without any of gatec's own normal forms.
`Mutator.mutant` makes one small change of the kind that people make by mistake.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from smallcells import VECTOR, X, count, finished, is_op, nodes_of, uses

from gatec.expr import (
    HIDDEN,
    Apply,
    Concat,
    Const,
    Expr,
    Ref,
    call,
    rewrite,
    walk,
)
from gatec.ir import Cell, Equation, State

ONE, ZERO, HALF, TWO = (Const(Fraction(n)) for n in ("1", "0", "1/2", "2"))
Rule = Callable[[Expr], Expr | None]


def put(expr: Expr, old: Expr, new: Expr) -> Expr:
    return rewrite(expr, lambda node: new if node == old else node)


def with_equations(cell: Cell, equations: list[Equation]) -> Cell:
    return finished(cell.name, cell.states, equations, cell.output)


def everywhere(cell: Cell, rule: Callable[[Expr], Expr]) -> Cell:
    return with_equations(cell, [replace(e, value=rewrite(e.value, rule)) for e in cell.equations])


class Rewriter:
    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.fresh = 0

    def disguised(self, cell: Cell, steps: int) -> tuple[Cell, list[str]]:
        """The cell after some rewrites, and their names. At the end, names and order change."""
        done: list[str] = []
        tries = 0
        while len(done) < steps and tries < 40:
            tries += 1
            move = self.draw.choice(self.MOVES)
            made = move(self, cell)
            if made is not None and sum(1 for _ in nodes_of(made)) < 120:
                cell = made
                done.append(move.__name__)
        if self.draw.random() < 0.6:
            cell = self.renamed(cell)
            done.append("renamed")
        return cell, done

    def name(self, base: str) -> str:
        self.fresh += 1
        return f"{base}{self.fresh}"

    # --- rewrites of one node -------------------------------------------------------------------

    def at_a_node(self, cell: Cell, rule: Rule) -> Cell | None:
        """The cell with a rule applied to one of the nodes that it applies to."""
        places = nodes_of(cell)
        self.draw.shuffle(places)
        for index, node in places:
            made = rule(node)
            if made is None or made == node:
                continue
            if made.shape != node.shape:
                continue
            equations = list(cell.equations)
            equation = equations[index]
            equations[index] = replace(equation, value=put(equation.value, node, made))
            return with_equations(cell, equations)
        return None

    def reordered(self, cell: Cell) -> Cell | None:
        def rule(node: Expr) -> Expr | None:
            if not is_op(node, "add", "mul"):
                return None
            args = list(node.children)
            self.draw.shuffle(args)
            if len(args) > 2 and self.draw.random() < 0.5:  # other brackets
                cut = self.draw.randrange(1, len(args))
                groups = [args[:cut], args[cut:]]
                args = [Apply(node.op, tuple(g)) if g[1:] else g[0] for g in groups]
            return Apply(node.op, tuple(args))

        return self.at_a_node(cell, rule)

    def distributed(self, cell: Cell) -> Cell | None:
        def rule(node: Expr) -> Expr | None:
            if is_op(node, "mul"):
                sums = [a for a in node.children if is_op(a, "add")]
                if not sums:
                    return None
                rest = [a for a in node.children if a is not sums[0]]
                return call("add", *(call("mul", *rest, term) for term in sums[0].children))
            if is_op(node, "matvec") and is_op(node.children[1], "add"):
                matrix, vector = node.children
                if all(term.shape == vector.shape for term in vector.children):
                    return call("add", *(call("matvec", matrix, t) for t in vector.children))
            return None

        return self.at_a_node(cell, rule)

    def factored(self, cell: Cell) -> Cell | None:
        def factors(term: Expr) -> list[Expr]:
            return list(term.children) if is_op(term, "mul") else [term]

        def rule(node: Expr) -> Expr | None:
            if not is_op(node, "add"):
                return None
            terms = list(node.children)
            for i, one in enumerate(terms):
                for j in range(i + 1, len(terms)):
                    other = terms[j]
                    shared = [f for f in factors(one) if f in factors(other) and f.shape]
                    if not shared:
                        continue
                    rests = []
                    for term in (one, other):
                        left = factors(term)
                        left.remove(shared[0])
                        rests.append(call("mul", *left) if left[1:] else left[0] if left else ONE)
                    made = shared[0] * (rests[0] + rests[1])
                    rest = [t for k, t in enumerate(terms) if k not in (i, j)]
                    return call("add", *rest, made) if rest else made
            return None

        return self.at_a_node(cell, rule)

    def interpolated(self, cell: Cell) -> Cell | None:
        """z a + (1 - z) b = b + z (a - b)."""

        def rule(node: Expr) -> Expr | None:
            if not is_op(node, "add") or len(node.children) != 2:
                return None
            for first, second in (node.children, node.children[::-1]):
                if not (is_op(first, "mul") and is_op(second, "mul")):
                    continue
                if len(first.children) != 2 or len(second.children) != 2:
                    continue
                for z, a in (first.children, first.children[::-1]):
                    for rest, b in (second.children, second.children[::-1]):
                        if rest in (1 - z, -z + 1):
                            return b + z * (a - b)
            return None

        return self.at_a_node(cell, rule)

    def trivial(self, cell: Cell) -> Cell | None:
        def rule(node: Expr) -> Expr | None:
            if not node.shape or node.rank != 1 or isinstance(node, Concat):
                return None
            return self.draw.choice(
                [
                    -1 * (-node),
                    node * 1,
                    node + 0,
                    2 * node - node,
                    (node + node) / 2,
                    (node - ONE) + ONE,
                    node / 4 * 4,
                ]
            )

        return self.at_a_node(cell, rule)

    def squared(self, cell: Cell) -> Cell | None:
        def rule(node: Expr) -> Expr | None:
            if is_op(node, "mul") and len(node.children) == 2:
                a, b = node.children
                if a == b:
                    return Apply("pow", (a, TWO))
                quarter = Const(Fraction(1, 4))
                if a.shape == b.shape:
                    return quarter * ((a + b).apply("pow", 2) - (a - b).apply("pow", 2))
            return None

        return self.at_a_node(cell, rule)

    def function(self, cell: Cell) -> Cell | None:
        """A function as others: tanh by the logistic function, relu by max, and so on.

        Quotients of exponentials of a softplus are beyond what gatec's normal form sees through.
        """
        softplus = any(is_op(node, "softplus", "exp") for _, node in nodes_of(cell))

        def rule(node: Expr) -> Expr | None:
            if not isinstance(node, Apply) or len(node.args) > 2:
                return None
            u = node.args[0]
            match node.op:
                case "tanh":
                    e, e_minus = u.apply("exp"), (-u).apply("exp")
                    options = [
                        2 * (2 * u).apply("sigmoid") - 1,
                        1 - 2 * (-2 * u).apply("sigmoid"),
                        -((-u).apply("tanh")),
                    ]
                    if not softplus:
                        options.append((e - e_minus) / (e + e_minus))
                        options.append(((2 * u).apply("exp") - 1) / ((2 * u).apply("exp") + 1))
                case "sigmoid":
                    options = [
                        1 - (-u).apply("sigmoid"),
                        (1 + (u / 2).apply("tanh")) / 2,
                        HALF + HALF * (u * HALF).apply("tanh"),
                    ]
                    if not softplus:
                        options.append(1 / (1 + (-u).apply("exp")))
                        options.append(u.apply("exp") / (u.apply("exp") + 1))
                case "relu":
                    options = [
                        u.apply("max", 0),
                        (u + u.apply("abs")) / 2,
                        u.apply("gt", 0).apply("where", u, 0),
                        u.apply("ge", 0).apply("where", u, 0),
                        u.apply("le", 0).apply("where", 0, u),
                        u + (-u).apply("relu"),
                        -((-u).apply("min", 0)),
                    ]
                case "softplus":
                    options = [
                        (1 + u.apply("exp")).apply("log"),
                        u.apply("exp").apply("log1p"),
                        u + (-u).apply("softplus"),
                    ]
                case "sin":
                    options = [-((-u).apply("sin"))]
                case "silu":
                    options = [u * u.apply("sigmoid"), u - u * (-u).apply("sigmoid")]
                case "abs":
                    options = [u.apply("max", -u), u.apply("relu") + (-u).apply("relu")]
                case "max":
                    v = node.args[1]
                    options = [
                        v + (u - v).apply("relu"),
                        -((-u).apply("min", -v)),
                        u.apply("lt", v).apply("where", v, u),
                        Apply("max", (v, u)),
                    ]
                case _:
                    return None
            made = self.draw.choice(options)
            return made if made.shape == node.shape else None

        return self.at_a_node(cell, rule)

    # --- rewrites of the equations ----------------------------------------------------------------

    def outlined(self, cell: Cell) -> Cell | None:
        """A part of an equation as an equation of its own."""
        places = [
            (index, node)
            for index, node in nodes_of(cell)
            if isinstance(node, Apply) and node.rank == 1 and node.batched
        ]
        if not places:
            return None
        index, node = self.draw.choice(places)
        if node == cell.equations[index].value and self.draw.random() < 0.7:
            return None
        made = Equation(self.name("q"), "", node)
        equations = list(cell.equations)
        equations[index] = replace(
            equations[index], value=put(equations[index].value, node, made.ref)
        )
        return with_equations(cell, [*equations[:index], made, *equations[index:]])

    def inlined(self, cell: Cell) -> Cell | None:
        kept = {cell.output, *(s.update for s in cell.states)}
        free = [e for e in cell.equations if e.name not in kept]
        if not free:
            return None
        gone = self.draw.choice(free)
        return with_equations(
            cell,
            [
                replace(e, value=put(e.value, gone.ref, gone.value))
                for e in cell.equations
                if e is not gone
            ],
        )

    def dead(self, cell: Cell) -> Cell:
        """Something that no output depends on."""
        position = self.draw.randrange(len(cell.equations) + 1)
        matrix = Ref("param", self.name("D"), (HIDDEN, X.shape[0]))
        value = call("matvec", matrix, X)
        if self.draw.random() < 0.5:  # a dead state
            name = self.name("d")
            value = (value + Ref("state", name, VECTOR, 1)).apply("tanh")
            made = Equation(name, "", value)
            states = [*cell.states, State(name, "", VECTOR, name)]
            equations = [*cell.equations[:position], made, *cell.equations[position:]]
            return finished(cell.name, states, equations, cell.output)
        made = Equation(self.name("d"), "", value.apply("exp"))
        equations = [*cell.equations[:position], made, *cell.equations[position:]]
        return with_equations(cell, equations)

    def renamed(self, cell: Cell) -> Cell:
        """Other names for everything, states and equations in another order."""
        params = {p.name: self.name("p") for p in cell.params}
        states = {s.name: self.name("s") for s in cell.states}
        quantities = {e.name: self.name("e") for e in cell.equations}
        tables = {"param": params, "state": states, "var": quantities}

        def rule(node: Expr) -> Expr:
            if isinstance(node, Ref) and node.kind in tables:
                return replace(node, name=tables[node.kind][node.name])
            return node

        equations = [
            replace(e, name=quantities[e.name], value=rewrite(e.value, rule))
            for e in cell.equations
        ]
        order: list[Equation] = []
        left = list(equations)
        while left:
            ready = [
                e
                for e in left
                if not any(
                    isinstance(n, Ref) and n.kind == "var" and n.name in {o.name for o in left}
                    for n in walk(e.value)
                )
            ]
            order.append(self.draw.choice(ready))
            left.remove(order[-1])
        new = [replace(s, name=states[s.name], update=quantities[s.update]) for s in cell.states]
        self.draw.shuffle(new)
        return finished(cell.name, new, order, quantities[cell.output])

    def state_scaled(self, cell: Cell) -> Cell | None:
        """A state that holds a multiple of what it held."""
        old = self.draw.choice(cell.states)
        factor = Fraction(self.draw.choice(["2", "-1", "1/2"]))
        before = Ref("state", old.name, old.shape, 1)
        name = self.name("k")
        kept = Ref("state", name, old.shape, 1) * Const(1 / factor)
        equations = [replace(e, value=put(e.value, before, kept)) for e in cell.equations]
        value = next(e for e in equations if e.name == old.update).ref * Const(factor)
        equations.append(Equation(name, "", value))
        states = [replace(s, name=name, update=name) if s is old else s for s in cell.states]
        return finished(cell.name, states, equations, cell.output)

    def duplicated(self, cell: Cell) -> Cell | None:
        """A state kept twice, each copy read in places."""
        old = self.draw.choice(cell.states)
        before = Ref("state", old.name, old.shape, 1)
        copy = self.name("w")
        readers = [e for e in cell.equations if before in walk(e.value)]
        chosen = [e.name for e in readers if self.draw.random() < 0.5]
        if not chosen:
            return None
        value = next(e for e in cell.equations if e.name == old.update).value
        other = Ref("state", copy, old.shape, 1)
        if self.draw.random() < 0.5:
            value = put(value, before, other)
        equations = [
            replace(e, value=put(e.value, before, other)) if e.name in chosen else e
            for e in cell.equations
        ]
        states = [*cell.states, replace(old, name=copy, update=copy)]
        return finished(cell.name, states, [*equations, Equation(copy, "", value)], cell.output)

    # --- rewrites of the parameters ---------------------------------------------------------------

    def bias_split(self, cell: Cell) -> Cell | None:
        biases = [p for p in cell.params if p.shape == VECTOR and _only_added(cell, p.name)]
        if not biases:
            return None
        old = self.draw.choice(biases)
        parts = [Ref("param", self.name("b"), VECTOR) for _ in range(2)]
        return everywhere(cell, _at(old.name, parts[0] + parts[1]))

    def param_negated(self, cell: Cell) -> Cell | None:
        if not cell.params:
            return None
        old = self.draw.choice(cell.params)
        new = Ref("param", self.name("N"), old.shape)
        return everywhere(cell, _at(old.name, -new))

    def param_scaled(self, cell: Cell) -> Cell | None:
        if not cell.params:
            return None
        old = self.draw.choice(cell.params)
        new = Ref("param", self.name("N"), old.shape)
        return everywhere(cell, _at(old.name, Const(Fraction(2)) * new))

    def split(self, cell: Cell) -> Cell | None:
        """W [h; x] as U h + V x."""
        for param in self.draw.sample(cell.params, len(cell.params)):
            above = uses(cell, param.name)
            if not above or not all(
                is_op(node, "matvec") and isinstance(node.children[1], Concat) for node in above
            ):
                continue
            sizes = {tuple(part.shape for part in node.children[1].children) for node in above}
            if len(sizes) > 1:
                continue
            matrices = [
                Ref("param", self.name("S"), (param.shape[0], shape[0])) for shape in sizes.pop()
            ]

            def rule(node: Expr, above=above, matrices=matrices) -> Expr:
                if node not in above:
                    return node
                parts = node.children[1].children
                return call(
                    "add", *(call("matvec", m, p) for m, p in zip(matrices, parts, strict=True))
                )

            return everywhere(cell, rule)
        return None

    def joined(self, cell: Cell) -> Cell | None:
        """U h + V x as W [h; x].

        Of parameters that are read there alone: others would come to be two of them, and the cell
        a more general one.
        """

        def own(term: Expr) -> bool:
            return (
                is_op(term, "matvec")
                and isinstance(term.children[0], Ref)
                and term.children[0].kind == "param"
                and count(cell, term.children[0]) == 1
            )

        def rule(node: Expr) -> Expr | None:
            if not is_op(node, "add"):
                return None
            found = [term for term in node.children if own(term)]
            if len(found) < 2:
                return None
            one, other = self.draw.sample(found, 2)
            vector = Concat((one.children[1], other.children[1]))
            matrix = Ref("param", self.name("J"), (node.shape[0], vector.shape[0]))
            rest = [term for term in node.children if term is not one and term is not other]
            return call("add", *rest, call("matvec", matrix, vector))

        return self.at_a_node(cell, rule)

    def complemented(self, cell: Cell) -> Cell | None:
        """A gate that means the opposite, its weights negated."""
        return self._opposite(cell, "sigmoid", lambda ref: 1 - ref)

    def candidate_negated(self, cell: Cell) -> Cell | None:
        return self._opposite(cell, "tanh", lambda ref: -ref)

    def _opposite(self, cell: Cell, op: str, use: Callable[[Expr], Expr]) -> Cell | None:
        gates = [
            e for e in cell.equations if is_op(e.value, op) and _odd(cell, e.value.children[0])
        ]
        kept = {cell.output, *(s.update for s in cell.states)}
        gates = [e for e in gates if e.name not in kept]
        if not gates:
            return None
        gate = self.draw.choice(gates)
        return with_equations(
            cell, [replace(e, value=put(e.value, gate.ref, use(gate.ref))) for e in cell.equations]
        )

    MOVES = (
        reordered,
        distributed,
        factored,
        interpolated,
        trivial,
        squared,
        function,
        function,
        outlined,
        inlined,
        dead,
        duplicated,
        state_scaled,
        bias_split,
        param_negated,
        param_scaled,
        split,
        joined,
        complemented,
        candidate_negated,
    )


def _at(name: str, value: Expr) -> Callable[[Expr], Expr]:
    def rule(node: Expr) -> Expr:
        return (
            value if isinstance(node, Ref) and (node.kind, node.name) == ("param", name) else node
        )

    return rule


def _only_added(cell: Cell, name: str) -> bool:
    return all(is_op(node, "add") for node in uses(cell, name))


def _odd(cell: Cell, argument: Expr) -> bool:
    """A sum in which every term has one parameter that is read nowhere else, linearly."""

    def own(expr: Expr) -> bool:
        return isinstance(expr, Ref) and expr.kind == "param" and len(uses(cell, expr.name)) == 1

    def linear(term: Expr) -> bool:
        if own(term):
            return True
        if is_op(term, "neg"):
            return linear(term.children[0])
        if is_op(term, "matvec"):
            return own(term.children[0])
        return is_op(term, "mul") and sum(own(factor) for factor in term.children) == 1

    terms = argument.children if is_op(argument, "add") else (argument,)
    return all(linear(term) for term in terms)


# --- Mutants --------------------------------------------------------------------------------------


class Mutator:
    """One small change: most of them make another function, some only look like it."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.rewriter = Rewriter(draw)

    def mutant(self, cell: Cell) -> tuple[Cell, str] | None:
        for _ in range(20):
            change = self.draw.choice(self.CHANGES)
            made = self.rewriter.at_a_node(
                cell, lambda node, change=change: change(self, cell, node)
            )
            if made is not None and made.equations != cell.equations:
                return made, change.__name__
        return None

    def number(self, cell: Cell, node: Expr) -> Expr | None:
        if not isinstance(node, Const):
            return None
        return Const(node.value + Fraction(self.draw.choice(["1", "-1", "1/10", "1/1000000000"])))

    def sign(self, cell: Cell, node: Expr) -> Expr | None:
        return -node if node.rank == 1 and isinstance(node, Apply) else None

    def function(self, cell: Cell, node: Expr) -> Expr | None:
        names = ["tanh", "sigmoid", "relu", "softplus", "sin", "abs"]
        if not is_op(node, *names):
            return None
        return Apply(self.draw.choice([n for n in names if n != node.op]), node.children)

    def dropped(self, cell: Cell, node: Expr) -> Expr | None:
        if not is_op(node, "add", "mul") or len(node.children) < 2:
            return None
        left = list(node.children)
        left.pop(self.draw.randrange(len(left)))
        return call(node.op, *left) if left[1:] else left[0]

    def other_state(self, cell: Cell, node: Expr) -> Expr | None:
        if not isinstance(node, Ref) or node.kind != "state":
            return None
        others = [s for s in cell.states if s.name != node.name and s.shape == node.shape]
        return Ref("state", self.draw.choice(others).name, node.shape, 1) if others else None

    def other_quantity(self, cell: Cell, node: Expr) -> Expr | None:
        """A gate in place of another, or a state after the step in place of before."""
        if not isinstance(node, Ref) or node.kind not in ("state", "var"):
            return None
        earlier: list[Expr] = []
        for equation in cell.equations:
            if any(n == node for n in walk(equation.value)):
                break
            if equation.value.shape == node.shape and equation.ref != node:
                earlier.append(equation.ref)
        return self.draw.choice(earlier) if earlier else None

    def sum_for_product(self, cell: Cell, node: Expr) -> Expr | None:
        if is_op(node, "mul") and len(node.children) == 2:
            return call("add", *node.children)
        return None

    def moved_inside(self, cell: Cell, node: Expr) -> Expr | None:
        """r * (U h) as U (r * h), and back: a reset before or after the product."""
        if is_op(node, "mul") and len(node.children) == 2:
            for gate, product in (node.children, node.children[::-1]):
                if is_op(product, "matvec") and gate.shape == product.children[1].shape:
                    return call("matvec", product.children[0], gate * product.children[1])
        if is_op(node, "matvec") and is_op(node.children[1], "mul"):
            gate, *rest = node.children[1].children
            inner = call("mul", *rest) if rest[1:] else rest[0]
            if gate.shape == node.shape and inner.shape:
                return gate * call("matvec", node.children[0], inner)
        return None

    def added(self, cell: Cell, node: Expr) -> Expr | None:
        if not is_op(node, "add", "mul") or node.rank != 1:
            return None
        state = self.draw.choice(cell.states)
        return node + Const(Fraction(1, 1000)) * Ref("state", state.name, state.shape, 1)

    def shared_weights(self, cell: Cell, node: Expr) -> Expr | None:
        """One gate's matrix used in another."""
        if not isinstance(node, Ref) or node.kind != "param":
            return None
        others = [p for p in cell.params if p.shape == node.shape and p.name != node.name]
        if not others:
            return None
        return Ref("param", self.draw.choice(others).name, node.shape)

    CHANGES = (
        number,
        sign,
        function,
        dropped,
        other_state,
        other_quantity,
        other_quantity,
        sum_for_product,
        moved_inside,
        added,
        shared_weights,
    )
