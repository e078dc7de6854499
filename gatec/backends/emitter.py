"""Templates: the skeletons of generated files, filled with finished statements.

The only module that knows the template engine. Templates hold no logic but `if` and `for` over
what they are given; a name they use and are not given is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import jinja2

from gatec import resources


def render(template: str, **values: object) -> str:
    """The text of `templates/<template>`, e.g. `torch/module.py.jinja`, filled with `values`."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.folder("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Generated code is no markup: text is made safe where it enters (`text.py`).
        autoescape=False,
    )
    environment.filters["lines"] = indented
    return environment


def indented(lines: Iterable[str], columns: int = 0) -> str:
    """Lines as one text, all but the first indented; empty lines stay empty.

    The template has indented the place where the text begins: `    {{ body | lines(4) }}`.
    """
    first, *rest = [*lines] or [""]
    margin = " " * columns
    return "\n".join([first, *(margin + line if line else "" for line in rest)])
