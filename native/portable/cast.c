/* Integers of one width as another; what does not fit keeps its low bits. */
#include "cast.h"

#include "integers.h"
#include "params.h"

void zp_cast_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_cast_params *p = params;
    for (int32_t unit = begin; unit < end; ++unit) {
        uint64_t value = (uint64_t)zp_load_integer(buffers->in[0], unit, p->input_size);
        value += (uint64_t)(int64_t)p->input_offset;
        if (p->to_bool) value = value != 0;
        zp_store_integer(buffers->out[0], unit, p->output_size, value + (uint64_t)(int64_t)p->output_offset);
    }
}
