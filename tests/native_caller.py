"""A program in C, and in C++, that runs a cell with arrays of its own."""

from __future__ import annotations

import re

from native_cells import program, sizes_of

# The program says how many of its calls failed. It writes what they gave to a file that is named.
CALLER = r"""
#include "cell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef THREADS
#define THREADS 3
#endif
#ifndef STEPS
#define STEPS 6 /* and fewer */
#endif

/* Arrays of exactly their size, for the address sanitizer; a third of the numbers is negative. */
static GATEC_REAL *numbers(size_t count)
{
    GATEC_REAL *made = (GATEC_REAL *)malloc(count * sizeof(GATEC_REAL));
    for (size_t i = 0; i < count; i++)
        made[i] = (GATEC_REAL)((double)((i * 7919 + count) % 31) / 31 - 0.3);
    return made;
}

static FILE *file;

static void put(size_t count, const GATEC_REAL *numbers)
{
    for (size_t i = 0; file != NULL && i < count; i++)
        fprintf(file, "%.17g\n", (double)numbers[i]);
}

static int run(size_t steps, size_t batch, int train)
{
    const struct PREFIX_sizes sizes = {steps, batch, SIZES, THREADS};
    const size_t bytes = PREFIX_workspace_size(&sizes, train);
    void *const workspace = malloc(bytes);
    GATEC_REAL *const outputs = numbers(steps * batch * OUTPUT);
    double sum = 0;
    int status;
DECLARED
    status = PREFIX_forward(
        outputs, &last, &sizes, FIRST &inputs, &initial, workspace, bytes, train);
    for (size_t i = 0; i < steps * batch * OUTPUT; i++)
        sum += fabs((double)outputs[i]);
    if (status == 0 && train)
        status = PREFIX_backward(
            GRADS &grad_inputs, &grad_initial, outputs, NULL, &sizes, FIRST &inputs, &initial,
            workspace, bytes);
    put(steps * batch * OUTPUT, outputs);
WRITTEN
FREED
    free(outputs);
    free(workspace);
    return status != 0 || !isfinite(sum) || (sum == 0 && steps * batch != 0);
}

int main(int count, char **arguments)
{
    int failed = 0;
    file = count > 1 ? fopen(arguments[1], "w") : NULL;
    for (size_t steps = 0; steps < STEPS; steps += 1)
        for (size_t batch = 0; batch < 4; batch += 1)
            failed += run(steps, batch, 0) + run(steps, batch, 1);
    printf("%d failed\n", failed);
    if (file != NULL)
        fclose(file);
    return failed != 0;
}
"""


def caller(name, sizes):
    """Its text for a cell and two sizes, of inputs and states: calls forth and back."""
    made = program(name)
    plan, prefix = made.plan, f"gatec_{made.source.name.lower()}"
    numbers = sizes_of(name, *sizes)
    names = [size for size in ("input_size", "hidden_size") if size in plan.size_names]
    names += [size.name for size in made.source.sizes]
    declared, written, freed = [], [], []

    def structure(kind, variable, items, lead):
        counts = []
        for item in items:
            count = lead
            for dim in item.shape:
                count += f" * {dim.value(numbers)}"
            counts.append(count)
        values = ", ".join(f"numbers({count})" for count in counts)
        declared.append(f"    struct {prefix}_{kind} {variable} = {{{values}}};")
        for item, count in zip(items, counts, strict=True):
            if kind not in ("inputs", "states", "params"):
                written.append(f"    put({count}, {variable}.{item.name});")
            freed.append(f"    free((void *){variable}.{item.name});")

    structure("inputs", "inputs", plan.inputs, "steps * batch")
    structure("states", "initial", plan.states, "batch")
    structure("states_out", "last", plan.states, "batch")
    structure("grad_inputs", "grad_inputs", plan.inputs, "steps * batch")
    structure("states_out", "grad_initial", plan.states, "batch")
    if plan.params:
        structure("params", "params", plan.params, "(size_t)1")
        structure("grad_params", "grad_params", plan.params, "(size_t)1")
    output = " * ".join(["1", *(str(dim.value(numbers)) for dim in plan.output_shape)])
    replaced = {
        "PREFIX": prefix,
        "SIZES": ", ".join(str(numbers[size]) for size in names),
        "OUTPUT": f"({output})",
        "DECLARED": "\n".join(declared),
        "WRITTEN": "\n".join(written),
        "FREED": "\n".join(freed),
        "FIRST": ("NULL, " if plan.constants else "") + ("&params," if plan.params else ""),
        "GRADS": "&grad_params," if plan.params else "",
    }
    return re.sub("|".join(replaced), lambda found: replaced[found.group()], CALLER)
