#include "../requantize_avx512.h"
#include "add.h"

namespace zp {
namespace {

inline Rescale rescale_of(int32_t multiplier, int32_t shift) {
    return make_rescale(_mm512_set1_epi32(multiplier), _mm512_set1_epi32(shift > 0 ? shift : 0), _mm512_set1_epi32(shift < 0 ? -shift : 0));
}

}  // namespace

void zp_add_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_add_params *>(params);
    const auto *x1 = static_cast<const int8_t *>(buffers->in[0]);
    const auto *x2 = static_cast<const int8_t *>(buffers->in[1]);
    auto *y = static_cast<int8_t *>(buffers->out[0]);
    const Rescale r1 = rescale_of(p.multiplier1, p.shift1), r2 = rescale_of(p.multiplier2, p.shift2),
                  ry = rescale_of(p.output_multiplier, p.output_shift);
    const __m512i z1 = _mm512_set1_epi32(p.input1_zero_point), z2 = _mm512_set1_epi32(p.input2_zero_point),
                  zy = _mm512_set1_epi32(p.output_zero_point), low = _mm512_set1_epi32(p.clamp_min), high = _mm512_set1_epi32(p.clamp_max);
    const __m128i places = _mm_cvtsi32_si128(p.left_shift);
    for (int64_t i = begin; i < end; i += 16) {
        const __mmask16 mask = static_cast<__mmask16>(end - i >= 16 ? 0xFFFF : 0xFFFF >> (16 - (end - i)));
        const auto fine = [&](const int8_t *x, __m512i zero_point, const Rescale &r) {
            const __m512i code = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, x + i));
            return rescaled(_mm512_sll_epi32(_mm512_sub_epi32(code, zero_point), places), r);
        };
        const __m512i a = fine(x1, z1, r1), b = fine(x2, z2, r2);
        const __m512i sum = p.subtract ? _mm512_sub_epi32(a, b) : _mm512_add_epi32(a, b);
        const __m128i codes = _mm512_cvtepi32_epi8(offset_and_clamped(rescaled(sum, ry), zy, low, high));
        if (mask == 0xFFFF) {
            _mm_storeu_si128(reinterpret_cast<__m128i *>(y + i), codes);
        } else {
            _mm_mask_storeu_epi8(y + i, mask, codes);
        }
    }
}

}  // namespace zp
