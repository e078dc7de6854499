"""Generated statements on lines, against `ruff format` itself."""

import ast
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gatec.backends.python.lines import statement, statements

NAMES = (
    *("x", "h", "Gamma_f", "c_tilde", "grad_h_products", "h_weights", "sigmoid_k_tilde_product"),
    *("a_rather_long_name_for_a_gate", "carry_a_name_as_long_as_names_of_temporaries_may_be"),
)
INDICES = ("[t]", "[t, :, hidden_size : 2 * hidden_size]", "[:, :hidden_size]", "[:-1]", ".T")


def ruff():
    beside = Path(sys.executable).with_name("ruff")
    found = str(beside) if beside.exists() else shutil.which("ruff")
    if found is None:
        pytest.skip("ruff is not installed")
    return found


class Writer:
    """Draws statements of the kind that backends print. Numbers are precedences."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = self.random.sample(NAMES, 4)

    def part(self, depth, least):
        code, level = self.expression(depth)
        return code if level >= least else f"({code})"

    def expression(self, depth):
        pick = self.random.choice
        if depth <= 0:
            number = self.random.random() < 0.15
            return (pick(("1", "0.5", "1e-06")) if number else pick(self.names) + pick(INDICES)), 9
        kind = pick(("sum", "sum", "product", "product", "call", "call", "sign", "view"))
        if kind in ("sum", "product"):
            level = 1 if kind == "sum" else 2
            symbols = "+-" if kind == "sum" else "*/@"
            code = self.part(depth - 1, level)
            for _ in range(pick((1, 1, 1, 2, 3))):
                code += f" {pick(symbols)} {self.part(depth - 1, level + 1)}"
            return code, level
        if kind == "sign":
            return f"-{self.part(depth - 1, 3)}", 2.5
        if kind == "view":
            return f"({self.expression(1)[0]} @ {pick(self.names)}){pick(INDICES[1:3])}", 9
        inner = [self.part(depth - 1, 0) for _ in range(4)]
        return (
            pick(
                (
                    f"sigmoid({inner[0]})",
                    f"np.tanh({inner[0]})",
                    f"np.where({self.part(1, 1)} > {self.part(1, 1)}, {inner[0]}, {inner[1]})",
                    f"np.maximum({inner[0]}, {inner[1]})",
                    f"np.sum({inner[0]}, axis=(-2, -1))",
                    f"np.concatenate([{', '.join(inner[: pick((1, 2, 4))])}], axis=-1)",
                    f"np.tensordot({inner[0]}, {inner[1]}, axes=((0, 1), (0, 1)))",
                )
            ),
            9,
        )

    def statement(self):
        value = self.expression(self.random.choice((0, 1, 2, 2, 3, 4)))[0]
        other = self.expression(1)[0]
        return self.random.choice(
            (
                *[f"{self.names[0]} = {value}"] * 4,
                f"{self.names[0]}[t] = {value}",
                f"{', '.join(self.names)} = {value}, {other}",
                f"{', '.join(self.names)} = {self.names[0]}",
                f"return {value}",
                f"return {value}, {other}",
            )
        )


def function(body):
    return "def f():\n    for t in range(T):\n" + "".join(f"        {line}\n" for line in body)


@pytest.mark.parametrize("seed", range(4))
def test_ruff_leaves_statements_as_they_are(seed):
    originals = [Writer(1000 * seed + i).statement() for i in range(500)]
    bodies = [statement(code, 8) for code in originals]
    assert sum(len(body) > 1 for body in bodies) > 200
    text = "\n\n".join(function(body) for body in bodies)
    command = [ruff(), "format", "--isolated", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    found = done.stdout.split("\n\n\n")
    for code, body, formatted in zip(originals, bodies, found, strict=True):
        assert function(body).strip() == formatted.strip(), code


@pytest.mark.parametrize("seed", range(200))
def test_lines_are_the_same_statement(seed):
    code = Writer(seed).statement()
    (wanted,) = ast.parse(f"def f():\n    {code}").body
    (found,) = ast.parse("def f():\n" + "\n".join(f"    {x}" for x in statement(code, 4))).body
    assert ast.dump(found) == ast.dump(wanted)


def test_what_fits_is_not_read():
    assert statement("anything ~ goes", 4) == ["anything ~ goes"]


def test_comments_and_headers_stay():
    long = "a" * 100
    lines = [f"# {long}", "", f"for {long} in range(T):", f"    x = {long} + {long}"]
    broken = statements(lines, 4)
    assert broken[:3] == lines[:3]
    assert broken[3:] == ["    x = (", f"        {long}", f"        + {long}", "    )"]
