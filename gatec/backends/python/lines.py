"""Python statements broken into lines, as `ruff format` (and Black) would break them.

A statement that fits on one line stays as it is. A longer one is read back into a small tree and
laid out by the formatter's rules: the contents of brackets move to lines of their own, operators
begin lines, a right side that has no brackets to break at gets a pair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatec.backends.python.pretty import INDENT, SOFT, SPACE, Doc, Group, IfBroken, Indented, layout
from gatec.backends.python.syntax import (
    Bracket,
    Chain,
    Choice,
    Node,
    Operation,
    Prefixed,
    Verbatim,
    read,
)
from gatec.backends.text import WIDTH

QUOTES = '"' * 3


def statement(code: str, indent: int) -> list[str]:
    """The lines of an assignment, a `return` or an expression, for a place `indent` columns deep.

    The lines carry no indentation but their own, relative to the first.
    """
    if indent + len(code) <= WIDTH:
        return [code]
    return layout(_statement(code, indent), WIDTH - indent).split("\n")


def statements(codes: Iterable[str], indent: int) -> list[str]:
    """The lines of several statements, which may have indentation of their own.

    Comments, docstrings and the heads of blocks stay as they are, but for those of functions.
    """
    lines: list[str] = []
    docstring = False
    for code in codes:
        inner = code.lstrip(" ")
        own = len(code) - len(inner)
        if docstring or inner.startswith(QUOTES):
            opens = inner.count(QUOTES) % 2 == 1
            docstring = docstring != opens
            lines.append(code)
        elif inner.startswith("def "):
            head = inner.removeprefix("def ").removesuffix(":")
            head_lines = layout(["def ", *_doc(read(head)[0][0]), ":"], WIDTH - indent - own)
            lines += [" " * own + line for line in head_lines.split("\n")]
        elif inner.startswith("#") or inner.endswith(":"):
            lines.append(code)
        else:
            lines += [" " * own + line for line in statement(inner, indent + own)]
    return lines


# --- Expressions ----------------------------------------------------------------------------------


def _doc(node: Node) -> list[Doc]:
    """A tree as a document, for a place inside brackets."""
    match node:
        case Verbatim():
            return [node.code]
        case Prefixed():
            return [node.prefix, *_doc(node.value)]
        case Choice():
            one, condition, other = _doc(node.one), _doc(node.condition), _doc(node.other)
            words: list[Doc] = [*one, SPACE, "if ", *condition, SPACE, "else ", *other]
            return [Group(words)]
        case Chain():
            return [doc for part in node.parts for doc in _part(part)]
        case Operation():
            return [Group(_operation(node))]


def _part(part: str | Bracket) -> list[Doc]:
    return [part] if isinstance(part, str) else _bracket(part)


def _operation(node: Operation) -> list[Doc]:
    """The operands, a place to break before each operator."""
    first, *rest = node.operands
    parts = _doc(first)
    for operator, operand in zip(node.operators, rest, strict=True):
        parts += [SPACE, operator, " ", *_doc(operand)]
    return parts


def _bracket(node: Bracket) -> list[Doc]:
    """Brackets whose contents may move to lines of their own.

    The arguments of a call share one line if they fit on it; items of a list or tuple do not.
    """
    if not node.items:
        return [node.opening + node.closing]
    parenthesis = node.opening == "(" and not node.comma
    alone = len(node.items) == 1 and (node.trailer or parenthesis)
    inner = _joined(node.items, node.comma, alone)
    contents: list[Doc] = [Group(inner)] if node.trailer else inner
    whole: list[Doc] = [node.opening, Indented([SOFT, *contents]), SOFT, node.closing]
    return [Group(whole)]


def _joined(items: list[Node], comma: bool, alone: bool = False) -> list[Doc]:
    """Items with commas between them; the last has one where the lines are broken, or always.

    `alone`: one item in brackets that would mean the same without it.
    """
    parts: list[Doc] = []
    for item in items:
        if parts:
            parts += [",", SPACE]
        parts += _doc(item)
    if comma and len(items) == 1:
        return [*parts, ","]
    return parts if alone else [*parts, IfBroken(",")]


# --- Statements -----------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(r"^(?P<target>(?:[^=\"(]|\[[^]]*\])*?) = ")


def _statement(code: str, indent: int) -> list[Doc]:
    if code.startswith("return "):
        return ["return ", *_right_side(code.removeprefix("return "), 7, indent)]
    found = _ASSIGNMENT.match(code)
    if found is None:
        return _doc(read(code)[0][0])
    target, value = found["target"], code[found.end() :]
    targets, comma = read(target)
    if indent + len(target) + len(" = (") > WIDTH and len(targets) > 1:
        broken = _bracket(Bracket("(", targets, False, comma))
        return [*broken, " = ", *_right_side(value, 4, indent)]
    return [f"{target} = ", *_right_side(value, len(target) + 3, indent)]


def _right_side(code: str, column: int, indent: int) -> list[Doc]:
    """What stands behind `=` or `return`, in parentheses where it has to break and has none."""
    items, comma = read(code)
    if len(items) > 1 or comma:
        return _in_parentheses(_joined(items, comma))
    (node,) = items
    width = WIDTH - indent
    if _breaks_inside(node) and _fits_outside(node, column, width):
        return _unbroken(node)
    if isinstance(node, Chain) and not _fits_outside(node, INDENT, width):
        return _unbroken(node)  # parentheses would not help
    return _in_parentheses(_doc(node))


def _in_parentheses(parts: list[Doc]) -> list[Doc]:
    return [Group([IfBroken("("), Indented([SOFT, *parts]), SOFT, IfBroken(")")])]


def _breaks_inside(node: Node) -> bool:
    """Whether an expression rather breaks inside brackets of its own than in a pair around it.

    So it is with calls and indices, and with one operator of the lowest precedence between
    operands that begin or end with brackets.
    """
    if isinstance(node, Prefixed):
        return _breaks_inside(node.value)
    if isinstance(node, Chain):
        return any(isinstance(part, Bracket) for part in node.parts)
    if not isinstance(node, Operation) or len(node.operators) > 1:
        return False
    return _breaks_last(node.operands[-1]) or _breaks_first(node.operands[0])


def _breaks_last(node: Node) -> bool:
    while not isinstance(node, Chain):
        if not isinstance(node, Operation | Prefixed):
            return False
        node = node.operands[-1] if isinstance(node, Operation) else node.value
    return _has_contents(node.parts[-1])


def _breaks_first(node: Node) -> bool:
    while isinstance(node, Operation):
        node = node.operands[0]
    return isinstance(node, Chain) and _has_contents(node.parts[0])


def _has_contents(part: str | Bracket) -> bool:
    index = isinstance(part, Bracket) and part.trailer and part.opening == "["
    return isinstance(part, Bracket) and bool(part.items) and not index


def _fits_outside(node: Node, column: int, width: int) -> bool:
    """Whether what stands outside of broken brackets fits."""
    first, *rest = layout(_unbroken(node), width - column).split("\n")
    outside = [line for line in rest if not line.startswith(" ")]
    return column + len(first) <= width and all(len(line) <= width for line in outside)


def _unbroken(node: Node) -> list[Doc]:
    """A tree whose operators stay on one line; only its brackets break."""
    if isinstance(node, Prefixed):
        return [node.prefix, *_unbroken(node.value)]
    if not isinstance(node, Operation):
        return _doc(node)
    parts = _unbroken(node.operands[0])
    for operator, operand in zip(node.operators, node.operands[1:], strict=True):
        parts += [f" {operator} ", *_unbroken(operand)]
    return parts
