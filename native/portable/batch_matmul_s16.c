/* y(n, i, j) = clamp(M * sum over k of a(n, i, k) b(n, j, k)): rows of a by rows of b. The sum is exact in int64 (up to
 * 2^32 products of 2^30) and rounds as a 16x8 convolution's does (sixteen.h). */
#include "batch_matmul_s16.h"

#include <stddef.h>

#include "params.h"
#include "sixteen.h"

void zp_batch_matmul_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_batch_matmul_s16_params *p = params;
    int16_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end; ++unit) {
        const ptrdiff_t n = unit / p->rows;
        const int16_t *a = (const int16_t *)buffers->in[0] + (ptrdiff_t)unit * p->depth;
        const int16_t *b = (const int16_t *)buffers->in[1] + n * p->columns * p->depth;
        for (int32_t j = 0; j < p->columns; ++j, b += p->depth) {
            int64_t sum = 0;
            for (int32_t k = 0; k < p->depth; ++k) sum += a[k] * b[k];
            const int32_t scaled = zp_multiply_by_quantized_multiplier_64(sum, p->multiplier, p->shift);
            y[(ptrdiff_t)unit * p->columns + j] = zp_clamp_s16(scaled, p->clamp_min, p->clamp_max);
        }
    }
}
