/*
 * cuBLAS on the host: the few calls that generated files make, as cuBLAS documents them (matrices
 * are column-major, leading dimensions are checked), computed in double precision.
 */
#ifndef GATEC_SHIM_CUBLAS_V2_H
#define GATEC_SHIM_CUBLAS_V2_H

#include <stdint.h>

#include "cuda_runtime.h"

typedef struct gatec_shim_cublas {
    cudaStream_t stream;
    long products;
} *cublasHandle_t;

typedef int cublasStatus_t;
typedef int cublasOperation_t;
typedef int cudaDataType;
typedef int cublasComputeType_t;

enum { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_NOT_INITIALIZED = 1 };
enum { CUBLAS_STATUS_INVALID_VALUE = 7 };
enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum { CUDA_R_32F = 0, CUDA_R_64F = 1 };
enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_64F = 70 };
enum { CUBLAS_GEMM_DEFAULT = -1 };

/* The handle that tests give, and what they read from it. */
extern "C" {
__attribute__((used)) inline gatec_shim_cublas gatec_shim_handle = {};
}

inline cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    if (handle == nullptr)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

namespace gatec_shim {

inline double number(const void *array, int64_t at, cudaDataType type)
{
    return type == CUDA_R_64F ? static_cast<const double *>(array)[at]
                              : double(static_cast<const float *>(array)[at]);
}

} // namespace gatec_shim

/* c = alpha op(a) op(b) + beta c, where c is m x n and op(a) is m x k. */
inline cublasStatus_t cublasGemmEx_64(
    cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
    int64_t m, int64_t n, int64_t k, const void *alpha,
    const void *a, cudaDataType a_type, int64_t lda,
    const void *b, cudaDataType b_type, int64_t ldb, const void *beta,
    void *c, cudaDataType c_type, int64_t ldc, cublasComputeType_t compute, int)
{
    using gatec_shim::number;
    const int64_t a_rows = op_a == CUBLAS_OP_N ? m : k, b_rows = op_b == CUBLAS_OP_N ? k : n;
    const bool fits = compute == (c_type == CUDA_R_64F ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F);
    if (handle == nullptr)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (m < 0 || n < 0 || k < 0 || lda < (a_rows > 1 ? a_rows : 1) || ldc < (m > 1 ? m : 1)
        || ldb < (b_rows > 1 ? b_rows : 1) || a_type != c_type || b_type != c_type || !fits)
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->products++;
    const double scale = number(alpha, 0, c_type), keep = number(beta, 0, c_type);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += number(a, op_a == CUBLAS_OP_N ? p * lda + i : i * lda + p, a_type)
                    * number(b, op_b == CUBLAS_OP_N ? j * ldb + p : p * ldb + j, b_type);
            const int64_t at = j * ldc + i;
            const double result = scale * sum + (keep != 0 ? keep * number(c, at, c_type) : 0);
            if (c_type == CUDA_R_64F)
                static_cast<double *>(c)[at] = result;
            else
                static_cast<float *>(c)[at] = float(result);
        }
    return CUBLAS_STATUS_SUCCESS;
}

#endif
