"""Names in generated code: readable, never two for one, never a word of a target."""

import builtins
import keyword
import re
import shutil
import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meaning import cell
from torch import nn

from gatec.names import Mangler, ascii_word

HEADERS = ["math", "tgmath", "stddef", "stdint", "string"]  # what generated C and CUDA includes


def mangled(*names):
    """The names that a cell gives to parameters written so."""
    terms = " + ".join(f"{name} \\odot h_{{t-1}}" for name in names)
    found = cell(f"param {', '.join(names)} : vector\nh_t = W x_t + {terms}")
    by_place = sorted((p.span.start, p.name) for p in found.params if p.name != "W")
    return [name for _, name in by_place]


@pytest.mark.parametrize(
    "spelled, wanted",
    [
        ("W_f", "W_f"), (r"\mathbf{w}_{ih}^{f}", "w_ih_f"), (r"\Gamma_f", "Gamma_f"), ("Γ_f", "Gamma_f"),
        (r"\tilde c", "c_tilde"), ("c̃", "c_tilde"), (r"\hat{\mathbf h}_{z}", "h_z_hat"), ("w'", "w_prime"),
        ("w''", "w_prime_2"), (r"\Delta t", "Delta_t_"), ("y^{in}", "y_in"), (r"\text{gate}", "gate"),
        (r"w_{x,f}", "w_x_f"), ("w_{xf}", "w_xf"), (r"\lambda", "lambda_"), ("in", "in_"), ("I_g", "I_g"),
        ("w_{l1}", "w_l1_"), (r"\mathrm{two words}", "two_words"), (r"w_*", "w_star"), ("é", "e_acute"),
        ("w^{(1)}", "w_1"), ("ж", "u436"),
    ],
)  # fmt: skip
def test_readable(spelled, wanted):
    assert mangled(spelled) == [wanted]


@pytest.mark.parametrize(
    "one, other",
    [
        ("h'", r"\text{h_prime}"), ("w_{ab}", "w_{a,b}"), ("w_a^b", "w_b^a"), (r"\tilde w", r"w_\text{tilde}"),
        (r"\lambda", r"\text{lambda_}"), ("w_{a,b}", r"w_\text{a b}"), ("w_1^{(2)}", "w_{1,2}"),
        (r"\varepsilon", r"\epsilon"), ("w^{(a)}", "w_a"), ("w'", r"w_\text{prime}"),
        ("w_{" + "a" * 60 + "b}", "w_{" + "a" * 60 + "c}"), ("ω", "w"), ("ж", r"\text{u436}"),
    ],
)  # fmt: skip
def test_two_names_never_meet(one, other):
    first, second = mangled(one, other)
    assert first != second


@pytest.mark.parametrize(
    "one, other", [(r"\alpha", "α"), (r"\Gamma_f", "Γ_f"), (r"\tilde c", "c̃"), ("𝐰", "w"), ("ω_a", r"\omega_{a}"),
                   (r"\mathbf{w}", "w"), ("w_{a b}", "w_{ab}"), ("ｗ", "w"), ("K", "K")]
)  # fmt: skip
def test_one_name_in_two_spellings(one, other):
    found = cell(
        f"param {one} : vector\nh_t = W x_t + {one} \\odot h_{{t-1}} + {other} \\odot h_{{t-1}}"
    )
    assert len(found.params) == 2


def words_of_c():
    """Every macro and every function of the headers, as the host's compiler has them."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = "".join(f"#include <{name}.h>\n" for name in HEADERS)

    def run(*options):
        return subprocess.run([compiler, *options, "-E", "-"], input=source, capture_output=True,
                              text=True, check=True).stdout  # fmt: skip

    macros = set(re.findall(r"(?m)^#define ([A-Za-z]\w*)", run("-dM", "-std=gnu17")))
    functions = set(re.findall(r"\b([A-Za-z]\w*) *\(", run("-std=c11")))
    types = set(re.findall(r"typedef [^;{}]*?\b([A-Za-z]\w*);", run("-std=c11")))
    return {word for word in macros | functions | types if not word.startswith("_")}


KEYWORDS_OF_C = set(
    """auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union unsigned
    void volatile while alignas alignof bool false true nullptr static_assert thread_local typeof
    catch class const_cast delete dynamic_cast explicit export friend mutable namespace new operator
    private protected public reinterpret_cast static_cast template this throw try typeid typename
    using virtual asm concept requires and or not xor bitand bitor compl""".split()
)


def handed_out(words):
    """The words that `Mangler` gives to a name spelled just so."""
    return sorted(word for word in words if Mangler().name(word, word) == word)


def test_no_word_of_python():
    assert handed_out([*keyword.kwlist, *keyword.softkwlist]) == []
    used = ["len", "range", "zip", "map", "sum", "min", "max", "abs", "float", "int", "str", "list",
            "tuple", "dict", "type", "print", "super", "isinstance", "iter", "next", "input"]  # fmt: skip
    assert set(used) <= set(dir(builtins))
    assert handed_out(used) == []


def test_no_attribute_of_a_module():
    public = [name for name in dir(nn.Module()) if not name.startswith("_")]
    assert handed_out([*public, "self", "training", "weight_ih_l0"]) == []


def test_no_word_of_c():
    assert handed_out(KEYWORDS_OF_C) == []
    assert handed_out(words_of_c()) == []


CUDA = ["threadIdx", "blockIdx", "blockDim", "gridDim", "warpSize", "dim3", "float4", "half", "cudaMalloc",
        "cudaStream_t", "CUDART_PI", "sincosf", "rsqrt", "rsqrtf"]  # fmt: skip


@pytest.mark.parametrize("word", CUDA)
def test_no_word_of_cuda(word):
    assert handed_out([word]) == []


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=8, unique=True))
def test_any_names(names):
    mangler = Mangler()
    given_out = [mangler.name(name, name) for name in names]
    assert len(set(given_out)) == len(names)
    for name in given_out:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        assert "__" not in name and len(name) <= 60 and not keyword.iskeyword(name)
    assert [mangler.name(name, "other") for name in names] == given_out  # once and for all


@given(st.text(max_size=40))
def test_ascii_word(text):
    assert set(ascii_word(text)) <= set(string.ascii_letters + string.digits + "_")


@pytest.mark.parametrize(
    "text",
    [
        "size u_size = 3\ninput x, u\nparam A : u_size x n_x\nparam B : n_h x u_size\nh_t = h_{t-1} + B A x_t + V u_t",
        "size k, k' = 3\nparam A : k x n_x\nparam B : k' x k\nh_t = h_{t-1} + C B A x_t",
        "size k = 3\nparam A : k x n_x\nk_t = B A x_t\nh_t = h_{t-1} + k_t",
        "input x, s\nh_t = h_{t-1} + W x_t + V s_t + x_size\nparam x_size : scalar",
        "size output_size = 2\nparam A : output_size x n_h\nh_t = h_{t-1} + W x_t\ny_t = B A h_t",
        "h_t = h_{t-1} + W x_t + hidden_size * x_t",
    ],
)  # fmt: skip
def test_sizes_and_quantities_never_meet(text):
    found = cell(text)
    names = [size.name for size in found.sizes] + [p.name for p in found.params]
    names += (
        [e.name for e in found.equations]
        + [i.name for i in found.inputs]
        + ["hidden_size", "input_size"]
    )
    assert len(set(names)) == len(names)
