#include "../../portable/exponential.h"
#include "softmax.h"

namespace zp {

static const zp_softmax_params &cast(const void *params) { return *static_cast<const zp_softmax_params *>(params); }

static int32_t exponential(const zp_softmax_params &p, int32_t distance) {
    if (-distance < p.diff_min) return 0;
    return zp_exp_of_negative(zp_times(zp_shift_left_wrapping(-distance, p.input_left_shift), p.input_multiplier));
}

bool zp_softmax_accepts(const void *params) {
    for (int32_t distance = 0; distance < 256; ++distance)
        if (exponential(cast(params), distance) < 0) return false;
    return true;
}

size_t zp_softmax_packed_bytes(const void *) { return 256 * sizeof(int32_t); }

void zp_softmax_pack(const void *params, const void *const *, void *packed) {
    for (int32_t distance = 0; distance < 256; ++distance) static_cast<int32_t *>(packed)[distance] = exponential(cast(params), distance);
}

size_t zp_softmax_scratch_bytes(const void *params) { return static_cast<size_t>(softmax_padded(cast(params).depth)) * sizeof(int32_t); }

}  // namespace zp
