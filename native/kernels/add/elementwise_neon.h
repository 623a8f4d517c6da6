// Walks two broadcast inputs in step with the output, sixteen elements at a time.
#ifndef ZP_KERNELS_ADD_ELEMENTWISE_NEON_H
#define ZP_KERNELS_ADD_ELEMENTWISE_NEON_H

#include "../../portable/elementwise.h"
#include "../../portable/params.h"
#include "../requantize_neon.h"
#include "../short_neon.h"

namespace zp {
namespace {

// Both inputs lie in memory as the output does. (The stride of a dimension of size 1 is never used.)
template <class P>
bool in_order(const P &p) {
    int64_t stride = 1;
    for (int32_t d = p.rank - 1; d >= 0; --d) {
        if (p.shape[d] != 1 && (p.stride1[d] != stride || p.stride2[d] != stride)) return false;
        stride *= p.shape[d];
    }
    return true;
}

template <class P>
bool accepts_elementwise(const P &p) {
    if (in_order(p)) return true;
    const int32_t last = p.rank - 1;
    return p.shape[last] >= 8 && (p.stride1[last] == 0 || p.stride1[last] == 1) && (p.stride2[last] == 0 || p.stride2[last] == 1);
}

// `codes`: sixteen codes of each input to sixteen of the output.
template <class P, class Codes>
inline void for_sixteens(const P &p, const zp_buffers *buffers, int32_t begin, int32_t end, Codes codes) {
    const bool ordered = in_order(p);
    const int32_t step1 = ordered ? 1 : p.stride1[p.rank - 1], step2 = ordered ? 1 : p.stride2[p.rank - 1];
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    for (int32_t unit = begin; unit < end;) {
        zp_stretch s = {unit, unit, end - unit};
        if (!ordered) s = zp_stretch_from(unit, end, p.rank, p.shape, p.stride1, p.stride2);
        const int8_t *x1 = static_cast<const int8_t *>(buffers->in[0]) + s.at1, *x2 = static_cast<const int8_t *>(buffers->in[1]) + s.at2;
        const int8x16_t same1 = vdupq_n_s8(*x1), same2 = vdupq_n_s8(*x2);
        int64_t i = 0;
        for (; i + 16 <= s.count; i += 16)
            vst1q_s8(y + unit + i, codes(step1 ? vld1q_s8(x1 + i) : same1, step2 ? vld1q_s8(x2 + i) : same2));
        if (const int64_t rest = s.count - i; rest > 0)
            store_up_to_16(y + unit + i,
                           codes(step1 ? load_up_to_16(x1 + i, rest) : same1, step2 ? load_up_to_16(x2 + i, rest) : same2), rest);
        unit += s.count;
    }
}

}  // namespace
}  // namespace zp
#endif
