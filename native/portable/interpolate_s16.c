/* y = table at x, interpolated (interpolation.h). */
#include "interpolate_s16.h"

#include "interpolation.h"
#include "params.h"
#include "sixteen.h"

void zp_interpolate_s16_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_interpolate_s16_params *p = params;
    const int16_t *x = buffers->in[0];
    int16_t *y = buffers->out[0];
    for (int32_t i = begin; i < end; ++i)
        y[i] = zp_clamp_s16(zp_interpolate_s16(p->table, x[i]), INT16_MIN, INT16_MAX);
}
