"""Python text from the IR, shared by the backends for NumPy and PyTorch.

spelling.py  pieces of text and how strongly they bind
library.py   what differs between the libraries
printer.py   expressions as text
cell.py      what both backends need of a cell: local names, helper functions, phases
lines.py     statements on lines, as `ruff format` breaks them (syntax.py, pretty.py)
"""

from gatec.backends.python.library import Library
from gatec.backends.python.printer import Printer, Used
from gatec.backends.python.spelling import Text, number_text, shape_tuple

__all__ = ["Library", "Printer", "Text", "Used", "number_text", "shape_tuple"]
