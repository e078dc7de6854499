"""The C family: one printer for C and CUDA.

`statements` turns equations into statements and groups them for loops, `groups` makes tasks of
them (`tasks`), `expressions` and `indices` print single units. `forward` and `backward` arrange
the tasks of all phases (`function`), with memory from `storage` and names from `interface`;
`kernels` writes the functions that they start. What differs between targets is a `Dialect` and a
template; `render` fills the latter.
"""
