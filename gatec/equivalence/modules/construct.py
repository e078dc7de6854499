"""Constructors: which arguments are sizes, which are constants, and instances at chosen values.

A module is built several times, at sizes that no two meanings share and with other values for
the numbers that its constructor takes; what follows those values is then known to depend on them.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gatec.equivalence.modules import wired
from gatec.equivalence.modules.address import Address, SizeName, fail, find

BATCH, INPUT, HIDDEN = "batch", "input_size", "hidden_size"

_INPUT_NAMES = re.compile(
    r"input_?(size|dims?|features?|units|width|channels)|(in|inp|x)_?(size|dims?|features?|channels)"
    r"|(n|d|dim|num)_?(in|inp|input|inputs|x|features)|d_?x|nx|ninp|nin|features|embed(ding)?_?dim",
    re.IGNORECASE,
)
_HIDDEN_NAMES = re.compile(
    r"hidden_?(size|dims?|features?|units|width|channels)?|(hid|h|state|out|output|model|cell|rnn)_?"
    r"(size|dims?|features?|units|channels)|(n|d|dim|num)_?(h|hid|hidden|units|out|output|model|state)"
    r"|units|nhid|nh|nout|size|dim|width|num_units",
    re.IGNORECASE,
)
# How many cells are stacked: one of them is compared.
_LAYERS = re.compile(r"(num|n|nb|rnn)_?(rnn_?)?layers|n_?layers?|layers", re.IGNORECASE)
# Numbers that have no part in what a module computes when it is evaluated.
_IDLE_NAMES = re.compile(r"drop|zoneout|momentum|learning_rate|^lr$|^p$|weight_decay")


@dataclass(frozen=True)
class Values:
    """What one instance is built with: sizes and constants by name."""

    sizes: Mapping[str, int]
    constants: Mapping[str, float]


@dataclass(frozen=True)
class Constructor:
    """How a class is instantiated.

    positional  names of sizes, in order, that are passed by position
    sizes       keyword -> name of the size
    constants   keyword -> default, of the real numbers that are varied
    fixed       keyword -> value, as the user wrote it
    told        sentences about arguments that were chosen
    wired       name of a size -> its value, of sizes that are fixed in the code of the class
    """

    address: Address
    cls: type[nn.Module]
    positional: tuple[str, ...] = ()
    sizes: Mapping[str, str] | None = None
    constants: Mapping[str, float] | None = None
    fixed: Mapping[str, Any] | None = None
    told: tuple[str, ...] = ()
    wired: Mapping[str, int] | None = None

    @property
    def size_names(self) -> tuple[str, ...]:
        """The sizes by name, input_size and hidden_size first."""
        taken = (*self.positional, *(self.sizes or {}).values())
        found = dict.fromkeys((*taken, *(self.wired or {})))
        order = [name for name in (INPUT, HIDDEN) if name in found]
        return (*order, *(name for name in found if name not in order))

    def arguments(self, values: Values) -> tuple[list[int], dict[str, Any]]:
        positional = [values.sizes[name] for name in self.positional]
        keywords: dict[str, Any] = dict(self.fixed or {})
        keywords |= {key: values.sizes[name] for key, name in (self.sizes or {}).items()}
        keywords |= {key: values.constants[key] for key in self.constants or {}}
        return positional, keywords

    def build(self, values: Values) -> nn.Module:
        """An instance in float64, evaluated, its parameters drawn at random.

        Biases start at 0 in many libraries, and an error in them shows nowhere then.
        """
        positional, keywords = self.arguments(values)
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = self.cls(*positional, **keywords).double().eval()
            if self.wired:
                old = {name: self.wired.get(name, values.sizes[name]) for name in self.size_names}
                wired.resize(module, old, values.sizes)
            draw(module, seed=0)
        return module


def draw(module: nn.Module, seed: int) -> None:
    """New parameters, from a normal distribution scaled as usual initialisations are."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for param in module.parameters():
            if not param.is_floating_point():
                continue
            scale = max(param.shape[-1], 1) ** 0.5 if param.dim() > 1 else 1.0
            fresh = torch.randn(param.shape, generator=generator, dtype=torch.float64) / scale
            param.copy_(fresh)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """float64 by default, no warnings, no gradients; one thread, which is faster for little."""
    before, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(before)
        torch.set_num_threads(threads)


# --- Which argument is what -----------------------------------------------------------------------


def constructor(address: Address) -> Constructor:
    """How the class at an address is built.

    Raises GatecError: E0802 where there is none, E0803 where it is no nn.Module, E0804 where its
    constructor takes what cannot be guessed.
    """
    cls = find(address)
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        what = "an instance" if isinstance(cls, nn.Module) else f"a {type(cls).__name__}"
        what = "a class" if isinstance(cls, type) else what
        raise fail(
            "E0803",
            f"{'.'.join(address.names)} is {what}, not a class of torch.nn.Module",
            address.text,
            "name the class; gatec builds its instances",
        )
    _check_layers(address, cls)
    failure: Exception | None = None
    for found in _attempts(address, cls):
        try:
            found.build(example(found))
        except Exception as error:
            failure = failure or error
            continue
        return found
    assert failure is not None
    raise fail(
        "E0804",
        f"{cls.__name__}(…) cannot be built: {type(failure).__name__}: {failure}",
        address.text,
        f"give its arguments: {address.place}:{'.'.join(address.names)}"
        "(units=hidden_size, features=input_size, bias=True)",
    )


def _check_layers(address: Address, cls: type[nn.Module]) -> None:
    """Raises GatecError (E0805) where a class stacks several layers unless told otherwise."""
    try:
        params = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return
    for p in params:
        several = _LAYERS.fullmatch(p.name) and _is_whole(p.default) and p.default > 1
        if several and p.name not in address.keywords:
            shown = "".join(f", {key}={_shown(value)}" for key, value in address.keywords.items())
            place = f"{address.place}:{'.'.join(address.names)}"
            raise fail(
                "E0805",
                f"{cls.__name__} has {p.default} layers by default, and a cell is one",
                address.text,
                f"compare one of them: module:{place}({p.name}=1{shown})",
            )


def _shown(value: Any) -> str:
    return value.name if isinstance(value, SizeName) else repr(value)


def example(made: Constructor) -> Values:
    """Small values that differ from each other."""
    sizes = dict(zip(made.size_names, (3, 5, 7, 4, 6, 9), strict=False))
    sizes |= made.wired or {}
    return Values(sizes, dict(made.constants or {}))


def _attempts(address: Address, cls: type[nn.Module]) -> Iterator[Constructor]:
    """Ways to build a class, the likeliest first."""
    fixed, named = {}, {}
    for key, value in address.keywords.items():
        if isinstance(value, SizeName):
            named[key] = value.name
        else:
            fixed[key] = value
    try:
        params = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        params = []
    plain = [p for p in params if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not plain:
        for positional in ((INPUT, HIDDEN), (HIDDEN,), ()):
            yield Constructor(address, cls, positional, named, {}, fixed)
        return
    layers = [p for p in plain if _LAYERS.fullmatch(p.name) and p.name not in address.keywords]
    single = {p.name: 1 for p in layers if p.default is p.empty}
    told = tuple(f"built with {key}={one}" for key, one in single.items())
    fixed |= single
    sizes = {**named, **_sizes(plain, set(named) | set(fixed))}
    # A size that the user gives a number for is a size all the same.
    sizes |= _sizes([p for p in plain if p.name in fixed and _is_whole(fixed[p.name])], set())
    fixed = {key: value for key, value in fixed.items() if key not in sizes}
    constants = {
        p.name: p.default
        for p in plain
        if type(p.default) is float and p.name not in fixed and not _IDLE_NAMES.search(p.name)
    }
    constants |= {key: value for key, value in fixed.items() if type(value) is float}
    rest = {key: value for key, value in fixed.items() if key not in constants}
    yield Constructor(address, cls, (), sizes, constants, rest, told)
    if constants:  # which may be bounded in ways that are not known
        yield Constructor(address, cls, (), sizes, {}, {**fixed}, told)
    if INPUT in sizes.values() and HIDDEN in sizes.values():  # a cell whose sizes must be equal
        same = {key: HIDDEN if name == INPUT else name for key, name in sizes.items()}
        yield Constructor(address, cls, (), same, constants, rest, told)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _sizes(params: list[inspect.Parameter], given: set[str]) -> dict[str, str]:
    """keyword -> name of the size, for the parameters that are sizes."""
    found: dict[str, str] = {}
    left = []
    for param in params:
        if param.name in given:
            continue
        required = param.default is param.empty
        if not required and not _is_whole(param.default):
            continue
        if _INPUT_NAMES.fullmatch(param.name) and INPUT not in found.values():
            found[param.name] = INPUT
        elif _HIDDEN_NAMES.fullmatch(param.name) and HIDDEN not in found.values():
            found[param.name] = HIDDEN
        elif required:
            left.append(param.name)
    # What else is required can only be the size that has no name yet, in the usual order.
    unnamed = [name for name in (INPUT, HIDDEN) if name not in found.values()]
    if len(left) == 1 and len(unnamed) == 2:
        unnamed = [HIDDEN]
    found |= dict(zip(left, unnamed, strict=False))
    return found
