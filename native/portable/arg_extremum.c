/* Index of the first largest or smallest integer along an axis: codes rise with the numbers they stand for. */
#include "arg_extremum.h"

#include "integers.h"
#include "params.h"

void zp_arg_extremum_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_arg_extremum_params *p = params;
    for (int32_t unit = begin; unit < end; ++unit) {
        const ptrdiff_t start = (ptrdiff_t)(unit / p->inner) * p->size * p->inner + unit % p->inner;
        int64_t best = zp_load_integer(buffers->in[0], start, p->element_size);
        int32_t where = 0;
        for (int32_t i = 1; i < p->size; ++i) {
            const int64_t value = zp_load_integer(buffers->in[0], start + (ptrdiff_t)i * p->inner, p->element_size);
            if (p->smallest ? value < best : value > best) {
                best = value;
                where = i;
            }
        }
        zp_store_integer(buffers->out[0], unit, p->output_size, (uint64_t)where);
    }
}
