"""The C family: one printer of expressions and tasks for C and CUDA.

`expressions` prints one unit of a value, `tasks` turns equations into loops and products,
`functions` arranges them into the two functions of the interface.
"""
