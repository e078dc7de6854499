"""gatec: compile the equations of a gated recurrent cell to NumPy, PyTorch, C and CUDA-C."""

__version__ = "0.1.0"
