#include "../copy_avx2.h"
#include "resize_bilinear.h"

namespace zp {
namespace {

// The four codes around an output position, sixteen channels of each.
struct Corners {
    const int8_t *low_left, *high_left, *low_right, *high_right;
};

struct Weights {
    __m256i rows, left, right;  // (low, high) as int16 pairs; int32; int32
};

struct Rounding {
    __m256i offset, half;
    __m128i places;

    explicit Rounding(const zp_resize_bilinear_params &p)
        : offset(_mm256_set1_epi16(static_cast<int16_t>(p.code_offset))),
          half(_mm256_set1_epi32(p.weight_bits > 0 ? 1 << (2 * p.weight_bits - 1) : 0)), places(_mm_cvtsi32_si128(2 * p.weight_bits)) {}

    // To the nearest, halves away from zero.
    __m256i operator()(__m256i total) const {
        return _mm256_sign_epi32(_mm256_srl_epi32(_mm256_add_epi32(_mm256_abs_epi32(total), half), places), total);
    }
};

inline __m128i interpolated(const Corners &at, int64_t c, const Weights &w, const Rounding &rounding) {
    const auto codes = [&](const int8_t *from) {
        return _mm256_add_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from + c))), rounding.offset);
    };
    const __m256i ll = codes(at.low_left), hl = codes(at.high_left), lr = codes(at.low_right), hr = codes(at.high_right);
    const auto mixed = [&](__m256i left_pairs, __m256i right_pairs) {
        const __m256i left = _mm256_mullo_epi32(_mm256_madd_epi16(left_pairs, w.rows), w.left);
        return rounding(_mm256_add_epi32(left, _mm256_mullo_epi32(_mm256_madd_epi16(right_pairs, w.rows), w.right)));
    };
    const __m256i first = mixed(_mm256_unpacklo_epi16(ll, hl), _mm256_unpacklo_epi16(lr, hr));
    const __m256i second = mixed(_mm256_unpackhi_epi16(ll, hl), _mm256_unpackhi_epi16(lr, hr));
    const __m256i values = _mm256_sub_epi16(_mm256_packs_epi32(first, second), rounding.offset);
    return _mm_packs_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
}

// Fewer than sixteen channels, which may be the last bytes of the image.
void interpolate_few(const Corners &at, int64_t n, const Weights &w, const Rounding &rounding, int8_t *out) {
    int8_t ends[4][16] = {}, codes[16];
    const int8_t *corner[4] = {at.low_left, at.high_left, at.low_right, at.high_right};
    for (int i = 0; i < 4; ++i) copy_bytes(reinterpret_cast<uint8_t *>(ends[i]), reinterpret_cast<const uint8_t *>(corner[i]), n);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(codes), interpolated({ends[0], ends[1], ends[2], ends[3]}, 0, w, rounding));
    copy_bytes(reinterpret_cast<uint8_t *>(out), reinterpret_cast<const uint8_t *>(codes), n);
}

}  // namespace

void zp_resize_bilinear_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_resize_bilinear_params *>(params);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const int64_t channels = p.channels, line = p.in_w * channels;
    const Rounding rounding(p);
    Weights w;
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t n = unit / p.out_h, oh = unit % p.out_h;
        w.rows = _mm256_set1_epi32(p.row_low_weight[oh] | p.row_high_weight[oh] * (1 << 16));
        const int8_t *low = x + (n * p.in_h + p.row_low[oh]) * line, *high = x + (n * p.in_h + p.row_high[oh]) * line;
        int8_t *out = static_cast<int8_t *>(buffers->out[0]) + unit * p.out_w * channels;
        for (int64_t ow = 0; ow < p.out_w; ++ow, out += channels) {
            w.left = _mm256_set1_epi32(p.col_low_weight[ow]);
            w.right = _mm256_set1_epi32(p.col_high_weight[ow]);
            const int64_t left = p.col_low[ow] * channels, right = p.col_high[ow] * channels;
            const Corners at = {low + left, high + left, low + right, high + right};
            if (channels < 16) {
                interpolate_few(at, channels, w, rounding, out);
                continue;
            }
            const auto sixteen = [&](int64_t c) {
                _mm_storeu_si128(reinterpret_cast<__m128i *>(out + c), interpolated(at, c, w, rounding));
            };
            for (int64_t c = 0; c + 16 <= channels; c += 16) sixteen(c);
            if (channels % 16 != 0) sixteen(channels - 16);
        }
    }
}

}  // namespace zp
