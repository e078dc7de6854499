"""The steps of a proof, replayed: every one that is used is checked first."""

from __future__ import annotations

from collections.abc import Mapping

from gatec.equivalence.checker.algebra import postorder
from gatec.equivalence.checker.laws import Laws
from gatec.equivalence.checker.refusal import Refused
from gatec.equivalence.checker.statement import Equations
from gatec.equivalence.steps import Step
from gatec.expr import Expr, Ref

LARGEST = 500_000  # expressions that one proof may lead through


class Replay:
    """Rewrites by the step for a node as it stands, else by that for it over rewritten operands.

    `seen` are all expressions that the steps led through. Raises Refused for a step that is no
    instance of its law, and for steps that lead back to where they began.
    """

    def __init__(self, steps: Mapping[Expr, Step], equations: Equations, laws: Laws) -> None:
        self.steps, self.laws = steps, laws
        self.equations: dict[Expr, Expr] = {
            equation.ref: equation.value for equation in equations.ordered
        }
        self.seen: dict[Expr, Expr] = {}
        self.count = 0

    def normal(self, expr: Expr) -> Expr:
        """The expression that the steps lead to."""
        rewriting: set[Expr] = set()
        # What is left to do: look at a node, put its operands together, take over a result.
        stack: list[tuple[str, Expr, Expr]] = [("look", expr, expr)]
        while stack:
            task, node, made = stack.pop()
            if task == "take":
                self.seen[node] = self.seen[made] = self.seen[self.steps[made].after]
                rewriting.discard(made)
            elif node in self.seen:
                continue
            elif task == "look" and node.children and node not in self.steps:
                stack.append(("join", node, node))
                stack.extend(("look", child, child) for child in node.children)
            else:
                made = node
                if task == "join":
                    made = node.with_children(tuple(self.seen[child] for child in node.children))
                if made in self.seen:
                    self.seen[node] = self.seen[made]
                elif made not in self.steps:
                    self.seen[node] = self.seen[made] = made
                else:
                    if made in rewriting:
                        raise Refused("the steps go round in a circle")
                    rewriting.add(made)
                    after = self._checked(made)
                    stack.append(("take", node, made))
                    stack.append(("look", after, after))
            if len(self.seen) > LARGEST:
                raise Refused("the proof leads through too many expressions")
        return self.seen[expr]

    def closed(self, expr: Expr) -> Expr:
        """The normal form, with no quantity left whose equation was not put in."""
        found = self.normal(expr)
        for node in postorder([found]):
            if isinstance(node, Ref) and node.kind == "var":
                raise Refused(f"nothing says what {node.name} is")
        return found

    def _checked(self, before: Expr) -> Expr:
        """The right side of the step for an expression, once it has been checked."""
        step = self.steps[before]
        if step.before != before or step.after.shape != before.shape:
            raise Refused("a step is not about the expression that it stands for")
        if step.law == "equation":
            holds: bool | None = self.equations.get(before) == step.after
        else:
            holds = self.laws.holds(step.law, before, step.after)
        if holds is None:
            raise Refused(f"there is no law {step.law!r}")
        if not holds:
            raise Refused(f"a step is no instance of {step.law!r}")
        self.count += 1
        return step.after
