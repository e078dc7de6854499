/*
 * A host that runs CUDA-C: what generated files need of CUDA's runtime, for g++.
 *
 * A launch runs its blocks one after the other, in the calling thread. The threads of a block are
 * fibers: each runs until it comes to __syncthreads() or to its end, then the next one does, so
 * that a block is deterministic. What hardware would let pass or would punish at random is an
 * error here: threads that end while others wait, launches of impossible shapes. Shared memory
 * holds NaN at the start of a block. `gatec_shim_order` runs threads and blocks in another order:
 * results that depend on it show a missing __syncthreads().
 */
#ifndef GATEC_SHIM_CUDA_RUNTIME_H
#define GATEC_SHIM_CUDA_RUNTIME_H

#if !defined(__cplusplus) || defined(__NVCC__)
#error "the shim is for C++ on the host"
#endif

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <tuple>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static __attribute__((section("gatec_shared")))

typedef int cudaError_t;
typedef struct gatec_shim_stream *cudaStream_t;

enum {
    cudaSuccess = 0,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorLaunchFailure = 719,
    cudaErrorUnknown = 999
};

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void *attrs;
    unsigned numAttrs;
};

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

/* For tests: the order of threads and blocks (0 ascending, 1 descending), and how many launches
 * succeed before one fails (all where it is negative). Launches are counted. */
extern "C" {
__attribute__((used)) inline int gatec_shim_order = 0;
__attribute__((used)) inline long gatec_shim_until_failure = -1;
__attribute__((used)) inline long gatec_shim_launches = 0;
/* All of shared memory, if there is any (the linker's names for a section). */
extern char __start_gatec_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_gatec_shared[] __attribute__((weak, visibility("hidden")));
}

namespace gatec_shim {

enum { MOST_THREADS = 1024, STACK = 64 * 1024 };

/* A thread. Its stack is entered once through ucontext; afterwards setjmp and longjmp switch,
 * which need no system call. */
struct Fiber {
    uint3 index = {};
    bool started = false, waiting = false, done = false;
    jmp_buf place;
    ucontext_t entry;
    char *stack = nullptr;
};

inline Fiber fibers[MOST_THREADS];
inline Fiber *current = nullptr;
inline jmp_buf scheduler;
inline void (*body)(void *) = nullptr;
inline void *argument = nullptr;

[[noreturn]] inline void fail(const char *what)
{
    fprintf(stderr, "CUDA shim: %s\n", what);
    abort();
}

/* Leaves the current fiber for the scheduler. */
inline void leave()
{
    if (_setjmp(current->place) == 0)
        _longjmp(scheduler, 1);
}

inline void run_fiber()
{
    for (;;) {
        body(argument);
        current->done = true;
        leave();
    }
}

/* Runs a fiber until it waits or is done. */
inline void resume(Fiber &fiber)
{
    current = &fiber;
    threadIdx = fiber.index;
    fiber.waiting = false;
    if (_setjmp(scheduler) != 0)
        return;
    if (current->started)
        _longjmp(current->place, 1);
    current->started = true;
    if (current->stack == nullptr)
        current->stack = static_cast<char *>(malloc(STACK));
    if (current->stack == nullptr || getcontext(&current->entry) != 0)
        fail("no fiber");
    current->entry.uc_stack.ss_sp = current->stack;
    current->entry.uc_stack.ss_size = STACK;
    current->entry.uc_link = nullptr;
    makecontext(&current->entry, run_fiber, 0);
    setcontext(&current->entry);
    fail("no fiber");
}

inline void run_block()
{
    const unsigned count = blockDim.x * blockDim.y * blockDim.z;
    if (__start_gatec_shared != nullptr)
        memset(__start_gatec_shared, 0xff, size_t(__stop_gatec_shared - __start_gatec_shared));
    for (unsigned i = 0; i < count; i++) {
        fibers[i].done = false;
        fibers[i].index = {
            i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    }
    for (;;) {
        unsigned waiting = 0;
        for (unsigned i = 0; i < count; i++) {
            Fiber &fiber = fibers[gatec_shim_order ? count - 1 - i : i];
            resume(fiber);
            waiting += fiber.waiting;
        }
        if (waiting == 0)
            return;
        if (waiting != count)
            fail("some threads of a block wait, others have ended");
    }
}

inline bool possible(const dim3 &grid, const dim3 &block)
{
    const bool some = grid.x && grid.y && grid.z && block.x && block.y && block.z;
    return some && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535 && block.z <= 64
        && size_t(block.x) * block.y * block.z <= MOST_THREADS;
}

inline cudaError_t launch(const cudaLaunchConfig_t &config, void (*run)(void *), void *given)
{
    if (!possible(config.gridDim, config.blockDim))
        return cudaErrorInvalidConfiguration;
    if (gatec_shim_until_failure >= 0 && gatec_shim_until_failure-- == 0)
        return cudaErrorLaunchFailure;
    gatec_shim_launches++;
    gridDim = config.gridDim;
    blockDim = config.blockDim;
    body = run;
    argument = given;
    const size_t count = size_t(gridDim.x) * gridDim.y * gridDim.z;
    for (size_t i = 0; i < count; i++) {
        const size_t at = gatec_shim_order ? count - 1 - i : i;
        blockIdx = {
            unsigned(at % gridDim.x), unsigned(at / gridDim.x % gridDim.y),
            unsigned(at / gridDim.x / gridDim.y)};
        run_block();
    }
    return cudaSuccess;
}

template <typename... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;

    static void run(void *call)
    {
        const Call &self = *static_cast<const Call *>(call);
        std::apply(self.kernel, self.arguments);
    }
};

} // namespace gatec_shim

inline void __syncthreads()
{
    gatec_shim::current->waiting = true;
    gatec_shim::leave();
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(
    const cudaLaunchConfig_t *config, void (*kernel)(Parameters...), Arguments &&...arguments)
{
    gatec_shim::Call<Parameters...> call = {kernel, {static_cast<Parameters>(arguments)...}};
    return gatec_shim::launch(*config, call.run, &call);
}

#endif
