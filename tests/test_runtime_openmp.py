"""Kernels on the threads of PyTorch's OpenMP runtime: the same bits, no threads beside them."""

import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from runtime_calls import assert_same, draw, gradients, needs_compilers, on

from gatec.runtime import openmp
from gatec.runtime.layer import NATIVE

__all__ = ["on"]  # a fixture
NUMBERS = os.path.isdir("/proc/self/task")  # of the threads of a process
pytestmark = [
    needs_compilers,
    pytest.mark.skipif(not openmp._functions(), reason="PyTorch has no OpenMP runtime"),
]


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def own_threads():
    for use_openmp in openmp._served:
        use_openmp(None, None, None)


@pytest.mark.parametrize("name, batch", [("lstm", 32), ("lstm", 1), ("gru", 2), ("mingru", 3)])
def test_the_same_bits_as_on_own_threads(name, batch, three_threads):
    made, inputs, states = draw(name, 300, batch, torch.float32)
    pooled = gradients(made, inputs, states)
    assert made.path == NATIVE
    try:
        own_threads()
        assert_same(pooled, gradients(made, inputs, states), 0)
    finally:
        for use_openmp in openmp._served:
            use_openmp(*openmp._functions())


SCRIPT = """
    import os, sys, threading, torch
    sys.path.insert(0, {here!r})
    from runtime_calls import draw
    torch.set_num_threads(3)
    made, inputs, states = draw("lstm", 1000, 32, torch.float32)
    (torch.randn(1000, 1000) @ torch.randn(1000, 1000)).exp()  # starts PyTorch's threads
    with torch.no_grad():
        made(inputs[0])
    assert made.path == "native", made.path
    most, done = 0, threading.Event()

    def watch():
        global most
        while not done.is_set():
            most = max(most, len(os.listdir("/proc/self/task")))

    before = len(os.listdir("/proc/self/task"))
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        with torch.no_grad():
            made(inputs[0])
    done.set()
    watcher.join()
    print(most - before - 1)
"""


@pytest.mark.skipif(not NUMBERS, reason="needs /proc")
def test_no_threads_beside_those_of_torch():
    script = textwrap.dedent(SCRIPT).format(here=os.path.dirname(__file__))
    environment = {**os.environ, "GATEC_RUNTIME": "on", "OMP_NUM_THREADS": "3"}
    command = [sys.executable, "-c", script]
    got = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert got.returncode == 0, got.stderr
    assert int(got.stdout) == 0


def outputs(made, inputs):
    with torch.no_grad():
        return made(inputs[0])[0]


def forked(queue, made, inputs):
    queue.put(outputs(made, inputs).tolist())


def test_a_child_has_threads_of_its_own(three_threads):
    """The runtime's threads are gone after a fork, and it would wait for them for ever."""
    made, inputs, _ = draw("lstm", 300, 32, torch.float32)
    wanted = outputs(made, inputs)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=forked, args=(queue, made, inputs))
    process.start()
    values = queue.get(timeout=120)
    process.join()
    assert made.path == NATIVE
    torch.testing.assert_close(torch.tensor(values), wanted, rtol=0, atol=0)
