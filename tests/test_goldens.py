"""What generated code looks like, byte for byte, so that a change of it is seen in review."""

import pytest
from harness import compiled

from gatec import backends, resources

GOLDENS = [
    ("lstm", "torch"),
    ("lstm", "numpy"),
    ("lstm", "c"),
    ("lstm", "cuda"),
    ("gru_v3", "numpy"),
    ("deltanet", "numpy"),
]


@pytest.mark.parametrize(("name", "target"), GOLDENS)
def test_golden(name, target, golden):
    program = compiled(resources.spec_path(name))
    files = backends.load(target).generate(program, name)
    assert files == backends.load(target).generate(program, name)
    for file, text in files.items():
        golden(file, text)


def test_headers_are_one():
    """The C and CUDA headers are the same bytes: a caller can switch without an edit."""
    program = compiled(resources.spec_path("lstm"))
    texts = [backends.load(target).generate(program, "lstm")["lstm.h"] for target in ("c", "cuda")]
    assert texts[0] == texts[1]
