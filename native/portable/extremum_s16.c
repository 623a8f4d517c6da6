/* y = max(x1, x2), or min. Codes rise with the numbers they stand for, so they are compared as they are. */
#include "extremum_s16.h"

#include "elementwise.h"
#include "params.h"

void zp_extremum_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_extremum_s16_params *p = params;
    int16_t *y = buffers->out[0];
    for (int32_t unit = begin; unit < end;) {
        const zp_stretch s = zp_stretch_from(unit, end, p->rank, p->shape, p->stride1, p->stride2);
        const int16_t *x1 = (const int16_t *)buffers->in[0] + s.at1, *x2 = (const int16_t *)buffers->in[1] + s.at2;
        const ptrdiff_t step1 = p->rank ? p->stride1[p->rank - 1] : 0, step2 = p->rank ? p->stride2[p->rank - 1] : 0;
        for (int32_t i = 0; i < s.count; ++i) {
            const int16_t a = x1[i * step1], b = x2[i * step2];
            y[unit + i] = (a < b) == (p->smallest != 0) ? a : b;
        }
        unit += s.count;
    }
}
