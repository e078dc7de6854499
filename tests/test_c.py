"""What is C's own: compilers and their warnings, sanitizers, callers in C and C++, how it reads."""

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache

import native
import pytest
from harness import assert_close, cell_shapes, compiled_text, draw, executed, interpreted
from native_caller import caller
from native_cells import NAMES, TEXTS, case_of, program, sizes_of

from gatec import backends
from gatec.backends import text as safe
from gatec.names import Mangler

pytestmark = pytest.mark.skipif(not native.COMPILERS, reason="gcc and g++ are not there")

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


@cache
def generated(name, target="c"):
    return backends.load(target).generate(program(name), "cell")


def written(name, folder, target="c"):
    native.write(generated(name, target), folder)
    return folder / ("cell.c" if target == "c" else "cell.cu")


# --- Compilers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("name", "real"),
    [
        ("lstm", "float"),
        ("lstm", "double"),
        ("slstm", "double"),
        ("deltanet", "float"),
        ("learned", "double"),
        ("matrix", "float"),
    ],
)
def test_no_warnings_at_full_optimisation(name, compiler, real, tmp_path):
    """Flow analysis sees most at -O3."""
    flags = ["-std=c11", *native.WARNINGS, "-pedantic", "-Wshadow", "-Wstrict-prototypes", "-O3"]
    source = written(name, tmp_path)
    native.compiled([compiler, *flags, f"-DGATEC_REAL={real}", "-c", source, "-o", "/dev/null"])


@pytest.mark.parametrize("name", ["lstm", "two"])
def test_header_stands_alone(name, tmp_path):
    """In C and in C++, twice, beside another cell's, and before anything else is included."""
    source = written(name, tmp_path)
    other = tmp_path / "other.h"
    other.write_text(generated("deltanet")["cell.h"], encoding="utf-8")
    (tmp_path / "a.c").write_text('#include "cell.h"\n#include "other.h"\n#include "cell.h"\n')
    (tmp_path / "a.cpp").write_text((tmp_path / "a.c").read_text())
    native.compiled([*native.C, "-c", tmp_path / "a.c", "-o", "/dev/null"])
    cpp = ["g++", "-std=c++11", *native.WARNINGS, "-pedantic"]
    native.compiled([*cpp, "-c", tmp_path / "a.cpp", "-o", "/dev/null"])
    assert source.exists()


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm", "mingru", "delays", "matrix", "two"])
def test_sanitizers(name, tmp_path):
    """No access outside of an array, no undefined behaviour, nothing allocated and left."""
    source = written(name, tmp_path)
    (tmp_path / "main.c").write_text(caller(name, (3, 5)))
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O0"]
    run_caller(source, sanitizers, tmp_path)


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm", "deltanet", "mingru", "matrix", "two"])
def test_no_data_races(name, tmp_path):
    """Threads wait for each other wherever one reads what another has written; chunks are short."""
    source = written(name, tmp_path)
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("GATEC_ROWS = 256", "GATEC_ROWS = 1"), encoding="utf-8")
    (tmp_path / "main.c").write_text(caller(name, (3, 37)))
    flags = ["-fsanitize=thread", "-DGATEC_WORK=1e-9", "-DGATEC_STEPS=0", "-g", "-O0"]
    run_caller(source, flags, tmp_path)


@pytest.mark.parametrize("batch", [2, 13])
@pytest.mark.parametrize("name", ["lstm", "gru", "slstm", "deltanet", "mingru", *TEXTS])
def test_threads(name, batch, tmp_path):
    """Rows of the batch, or the units of a step, shared by three: the same numbers, every time."""
    cell = native.build(program(name), tmp_path, flags=["-DGATEC_WORK=1e-9"])
    numbers = sizes_of(name, 5, 37)
    case = case_of(name, numbers, 4, batch)
    wanted = interpreted(program(name).source, numbers, case)
    runs = []
    for cell.threads in (3, 3, 2, 64):
        runs.append(executed("c", cell, program(name), numbers, case, "float64"))
        assert_close(runs[-1], wanted, 1e-12)
    assert_close(runs[1], runs[0], 0)


@pytest.mark.parametrize("width", [16, 32, 64])
def test_vectors_of_any_width(width, tmp_path):
    """Tiles of all heights, those of AVX-512 as well, in parts where the processor has less."""
    flags = [f"-DGATEC_BYTES={width}", "-Wno-psabi", "-DGATEC_WORK=1e-9"]
    cell = native.build(program("lstm"), tmp_path, flags=flags)
    numbers = sizes_of("lstm", 5, 37)
    for rows in (1, *range(7, 14), 23, 50, 101):
        case = case_of("lstm", numbers, 3, rows)
        wanted = interpreted(program("lstm").source, numbers, case)
        for cell.threads in (1, 2):
            got = executed("c", cell, program("lstm"), numbers, case, "float64")
            assert_close(got, wanted, 1e-12)


def run_caller(source, flags, tmp_path):
    binary = tmp_path / "main"
    files = [source, tmp_path / "main.c", "-o", binary, "-lm"]
    native.compiled([*native.C, *flags, *files])
    done = subprocess.run([binary], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "0 failed\n"), done.stderr[:3000]


def test_caller_in_cpp(tmp_path):
    """C++ links what the C compiler made."""
    source = written("gru", tmp_path)
    native.compiled([*native.C, "-DGATEC_REAL=double", "-c", source, "-o", tmp_path / "cell.o"])
    (tmp_path / "main.cpp").write_text(caller("gru", (3, 5)))
    binary = tmp_path / "main"
    files = [tmp_path / "main.cpp", tmp_path / "cell.o", "-o", binary, "-lm"]
    native.compiled(["g++", *native.WARNINGS, "-DGATEC_REAL=double", *files])
    assert subprocess.run([binary], capture_output=True).returncode == 0


def test_more_names_than_a_kernel_takes(tmp_path):
    """A sum of 450 terms: several loops, none with more than 512 arrays, and the right numbers."""
    terms = " + ".join(f"p_{{{i}}} * h_{{t-1}}" for i in range(450))
    made = compiled_text(f"h_t = tanh(W x_t + {terms})\n", "wide.gate")
    for target in ("c", "cuda"):
        source = next(iter(backends.load(target).generate(made, "cell").values()))
        heads = re.findall(
            r"^static (?:__global__ )?void gatec_\w+_step.*?\)$", source, re.M | re.S
        )
        assert len(heads) > 1
        assert max(head.count("*") for head in heads) <= 512
    sizes = {"input_size": 2, "hidden_size": 3}
    case = draw(cell_shapes(made.source, sizes), 3, 2)
    case = replace(case, params={k: v / 100 for k, v in case.params.items()})
    got = executed("c", native.build(made, tmp_path), made, sizes, case)
    assert_close(got, interpreted(made.source, sizes, case), 1e-12)


# --- How it reads -------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["c", "cuda"])
@pytest.mark.parametrize("name", NAMES)
def test_equations_stand_above_their_lines(name, target):
    """Every equation of the loop is a comment, and the next line computes its quantity."""
    source = next(iter(generated(name, target).values())).splitlines()
    cell = program(name)
    for equation in cell.plan.equations:
        if not equation.text:
            continue
        (comment, *_) = safe.c_comment(equation.text, 12)
        places = [i for i, line in enumerate(source) if line.strip() == comment]
        if not places:  # a product, in a call of a helper, has its name in the arguments
            assert any(re.search(rf"\b{equation.name}(_t)?\b", line) for line in source)
            continue
        following = [
            line.strip()
            for i in places
            for line in source[i + 1 : i + 5]
            if not line.strip().startswith("*")
        ]
        assert any(
            re.match(rf"(const real )?{equation.name}(_t|_rows)?(\[.*\])? =|real total", line)
            for line in following
        ), (equation.name, following)


@pytest.mark.parametrize("target", ["c", "cuda"])
@pytest.mark.parametrize("name", NAMES)
def test_lines(name, target):
    """No line is too long to read but for what a spec makes long; none ends in a space."""
    for file, content in generated(name, target).items():
        assert content.endswith("\n") and not content.endswith("\n\n"), file
        comment = False
        for line in content.splitlines():
            comment = comment or "/*" in line
            assert line == line.rstrip(), (file, line)
            assert "\t" not in line
            assert len(line) <= 100 or comment, (file, line)
            comment = comment and "*/" not in line
        assert "\n\n\n" not in content, file


def test_only_helpers_that_are_used():
    rnn, lstm = generated("rnn")["cell.c"], generated("lstm")["cell.c"]
    assert "gatec_sigmoid" in lstm and "gatec_sigmoid" not in rnn
    assert "gatec_max" in generated("slstm")["cell.c"] and "gatec_max" not in lstm
    assert "gatec_log" in generated("slstm")["cell.c"] and "gatec_log" not in lstm


def test_same_bytes_and_one_header():
    for name in NAMES:
        again = backends.load("c").generate(program(name), "cell")
        assert generated(name) == again
        assert generated(name)["cell.h"] == generated(name, "cuda")["cell.h"]


def test_names_are_no_macros(tmp_path):
    """No name of a cell is a macro of what generated code includes, here and with GNU's more."""
    (tmp_path / "a.c").write_text(
        "".join(
            f"#include <{name}.h>\n"
            for name in ("stddef", "pthread", "sched", "stdatomic", "stdint", "string", "tgmath")
        )
    )
    macros = set()
    for standard in ("c11", "gnu11"):
        command = ["gcc", f"-std={standard}", "-E", "-dM", str(tmp_path / "a.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        macros |= set(re.findall(r"^#define (\w+) ", done.stdout, re.MULTILINE))
    assert {"SIZE_MAX", "M_LN2", "INFINITY"} <= macros
    kept = [name for name in sorted(macros) if Mangler().name(name, name) == name]
    assert not kept
    for name in ("W_f", "Gamma_f", "W_ih", "M_K", "C", "B_MAX2", "h"):
        assert Mangler().name(name, name) == name


# --- Text of a spec -----------------------------------------------------------------------------

HOSTILE = r"""# */ int main(void) { return 1; } /*
# ends in a backslash \
# a trigraph ??/
# "quotes' and % and {{ 7 * 7 }} and {% raw %}
cell Hostile
h_t = tanh(W x_t + U h_{t-1}) % */ #error "no" \
o_t = h_t * \text{*/} \quad // \
output o
"""


@pytest.mark.parametrize("target", ["c", "cuda"])
def test_text_of_a_spec_stays_a_comment(target, tmp_path):
    """Whatever a spec holds: nothing leaves a comment, and templates do not run it."""
    cell = program("lstm")
    comments = tuple(line.removeprefix("# ") for line in HOSTILE.splitlines())
    comments += ("\u202e right to left \x00 and nul", "é ü 漢字")
    texts = [*comments, "??/", "a \\", "*/*/", "**//", "/**/", "\\"]
    named = sum(bool(equation.text) for equation in cell.plan.equations)
    for first in range(0, len(texts), named):
        rest = iter([*texts[first : first + named], *texts])

        def hostile(equation, rest=rest):
            text = next(rest) if equation.text else ""
            return replace(equation, text=text, symbol=text)

        equations = tuple(map(hostile, cell.plan.equations))
        source = replace(cell.source, comments=tuple(texts), equations=equations)
        made = replace(cell, source=source, plan=replace(cell.plan, equations=equations))
        files = backends.load(target).generate(made, "cell")
        for file, content in files.items():
            (tmp_path / file).write_text(content, encoding="utf-8")
            assert "\u202e" not in content and "\x00" not in content
            assert "{{ 7 * 7 }}" in content and not re.search(r"\b49\b", content)
            without = re.sub(r"/\*.*?\*/", "", content, flags=re.DOTALL)
            errors = re.findall("#error.*", without)
            assert "main" not in without
            assert errors == [] or (len(errors) == 1 and "round to its type" in errors[0])
            assert not re.search(r"\\\n", re.sub(r"(?m)^ *#define .*(\n .*)*", "", content))
        command = native.C if target == "c" else [*native.CUDA, "-x", "c++"]
        flags = ["-trigraphs", "-Wcomment", "-fsyntax-only"]
        native.compiled([*command, *flags, tmp_path / ("cell.c" if target == "c" else "cell.cu")])


def test_texts_are_all_used():
    """The cells of these tests have what they are there for."""
    assert all(text.strip() for text in TEXTS.values())
    plans = {name: program(name).plan for name in TEXTS}
    assert plans["leaky"].constants and plans["wide"].sizes
    assert any(state.initial.param for state in plans["learned"].states)
    assert any(state.initial.value for state in plans["learned"].states)
    assert sum(state.delay for state in plans["delays"].states) == 4
    assert plans["scalar"].inputs[0].shape == () and len(plans["two"].inputs) == 2
    assert any(len(state.shape) == 2 for state in plans["matrix"].states)
