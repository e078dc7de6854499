"""Modules of PyTorch compared with equations: `module:package.module:Class`.

A module's own code is run at several sizes, what it computes is read as equations, and these are
compared as any cell is.
"""
