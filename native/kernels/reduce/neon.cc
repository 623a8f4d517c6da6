// Means and sums over outer axes (a mean over height and width): sixteen neighbouring outputs at a time.
#include "../arm.h"
#include "../requantize_neon.h"
#include "../short_neon.h"
#include "../sums_neon.h"

namespace zp {
namespace {

// Sums over all elements that belong to the n outputs from x on.
void add_all(WideSums &sums, const zp_reduce_params &p, const int8_t *x, int64_t n) {
    int32_t index[ZP_MAX_RANK] = {0};
    int64_t at = 0;
    for (;;) {
        sums.add(load_up_to_16(x + at, n));
        int32_t d = p.reduce_rank - 1;
        for (; d >= 0; --d) {
            at += p.reduce_stride[d];
            if (++index[d] < p.reduce_shape[d]) break;
            at -= static_cast<int64_t>(p.reduce_shape[d]) * p.reduce_stride[d];
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

}  // namespace

bool zp_reduce_neon_accepts(const void *params) {
    const auto &p = *static_cast<const zp_reduce_params *>(params);
    return p.keep_rank > 0 && p.keep_stride[p.keep_rank - 1] == 1 && p.keep_shape[p.keep_rank - 1] >= 8;
}

void zp_reduce_s8_neon(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_reduce_params *>(params);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    uint32_t count = 1;
    for (int32_t d = 0; d < p.reduce_rank; ++d) count *= static_cast<uint32_t>(p.reduce_shape[d]);
    const int32x4_t start = vdupq_n_s32(zp_int32_from_bits(0u - count * static_cast<uint32_t>(p.input_zero_point)));
    const Rescale r = rescale_of(p.multiplier, p.shift);
    const Output output = output_of(p.output_zero_point, p.clamp_min, p.clamp_max);
    for (int64_t unit = begin; unit < end;) {
        int64_t at = 0, rest = unit, n = 16;
        for (int32_t d = p.keep_rank - 1; d >= 0; --d) {
            const int64_t index = rest % p.keep_shape[d];
            at += index * p.keep_stride[d];
            rest /= p.keep_shape[d];
            if (d == p.keep_rank - 1 && n > p.keep_shape[d] - index) n = p.keep_shape[d] - index;
        }
        if (n > end - unit) n = end - unit;
        WideSums sums(start);
        add_all(sums, p, x + at, n);
        sums.settle();
        store_up_to_16(y + unit, codes_of(rescaled(sums.a, r), rescaled(sums.b, r), rescaled(sums.c, r), rescaled(sums.d, r), output), n);
        unit += n;
    }
}

}  // namespace zp
