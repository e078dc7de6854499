"""Cells with their mathematics in docstrings."""


class Leaky:
    r"""A leaky integrator.

    .. math::
        h_t = (1 - \alpha) h_{t-1} + \alpha \tanh(W x_t + U h_{t-1} + b)

    Args:
        alpha: the rate; with :math:`h_t = h_{t-1}` where it is 0.

    Example::

        >>> h_t = Leaky(3, 4)
    """


class Gate:
    """Escapes are doubled here.

    .. math:: g_t = \\sigma(W x_t + U g_{t-1})
    """


def helper(x):
    """Returns `x` (no mathematics here)."""
    return x
