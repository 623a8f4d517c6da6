// AVX-512 VNNI: per output position, the taps' addresses once, then 32 channels at a time. No standard library here.
#include "../requantize_avx512.h"
#include "depthwise_conv_2d.h"

namespace zp {
namespace {

inline __m512i widened(const int8_t *from, __mmask32 mask) {
    return _mm512_cvtepi8_epi16(mask == ~__mmask32{0} ? _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from))
                                                      : _mm256_maskz_loadu_epi8(mask, from));
}

struct Common {
    __m512i zero_point, low, high;
};

inline void block_of_channels(const int8_t *const *taps, int64_t pairs, int64_t first, const uint8_t *packed, const Common &common,
                              __mmask32 mask, int8_t *out) {
    const uint8_t *table = packed + pairs * 128;
    __m512i sum0 = _mm512_loadu_si512(table), sum1 = _mm512_loadu_si512(table + 64);
    for (int64_t i = 0; i < pairs; ++i, packed += 128) {
        const __m512i x0 = widened(taps[2 * i] + first, mask), x1 = widened(taps[2 * i + 1] + first, mask);
        sum0 = _mm512_dpwssd_epi32(sum0, _mm512_unpacklo_epi16(x0, x1), _mm512_loadu_si512(packed));
        sum1 = _mm512_dpwssd_epi32(sum1, _mm512_unpackhi_epi16(x0, x1), _mm512_loadu_si512(packed + 64));
    }
    const Rescale r0 = make_rescale(_mm512_loadu_si512(table + 128), _mm512_loadu_si512(table + 256), _mm512_loadu_si512(table + 384));
    const Rescale r1 = make_rescale(_mm512_loadu_si512(table + 192), _mm512_loadu_si512(table + 320), _mm512_loadu_si512(table + 448));
    sum0 = offset_and_clamped(rescaled(sum0, r0), common.zero_point, common.low, common.high);
    sum1 = offset_and_clamped(rescaled(sum1, r1), common.zero_point, common.low, common.high);
    // Packing two int32 vectors works within lanes as well, and so undoes the interleaving.
    const __m256i codes = _mm512_cvtepi16_epi8(_mm512_packs_epi32(sum0, sum1));
    if (mask == ~__mmask32{0}) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + first), codes);
    } else {
        _mm256_mask_storeu_epi8(out + first, mask, codes);
    }
}

}  // namespace

void zp_depthwise_conv_2d_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_depthwise_conv_2d_params *>(params);
    const DepthwiseShape s = depthwise_shape(p);
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const auto *packed = static_cast<const uint8_t *>(buffers->in[1]);
    const int64_t pairs = s.pairs(), channels = s.channels;
    auto **taps = static_cast<const int8_t **>(buffers->scratch);
    int8_t *nothing = static_cast<int8_t *>(buffers->scratch) + (pairs * 2 * 8 + 63) / 64 * 64;
    __builtin_memset(nothing, p.input_zero_point, static_cast<size_t>(channels));
    // With an odd number of taps the last pair's second weight is zero, and reads this.
    taps[2 * pairs - 1] = nothing;
    const Common common = {_mm512_set1_epi32(p.output_zero_point), _mm512_set1_epi32(p.clamp_min), _mm512_set1_epi32(p.clamp_max)};

    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t n = unit / p.out_h, oh = unit % p.out_h;
        for (int64_t ow = 0; ow < p.out_w; ++ow) {
            const int8_t **tap = taps;
            for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
                const int64_t ih = oh * p.stride_h - p.pad_top + kh * p.dilation_h;
                for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
                    const int64_t iw = ow * p.stride_w - p.pad_left + kw * p.dilation_w;
                    const bool inside = ih >= 0 && ih < p.in_h && iw >= 0 && iw < p.in_w;
                    *tap++ = inside ? x + ((n * p.in_h + ih) * p.in_w + iw) * channels : nothing;
                }
            }
            int8_t *out = static_cast<int8_t *>(buffers->out[0]) + (unit * p.out_w + ow) * channels;
            const uint8_t *block = packed;
            int64_t first = 0;
            for (; first + kDepthwiseBlock <= channels; first += kDepthwiseBlock, block += s.block_bytes())
                block_of_channels(taps, pairs, first, block, common, ~__mmask32{0}, out);
            if (first < channels) block_of_channels(taps, pairs, first, block, common, ~__mmask32{0} >> (32 - (channels - first)), out);
        }
    }
}

}  // namespace zp
