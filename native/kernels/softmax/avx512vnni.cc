#include "../../portable/exponential.h"
#include "../avx512.h"
#include "softmax.h"

namespace zp {
namespace {

int32_t largest_of(const int8_t *x, int64_t n) {
    const __m512i lowest = _mm512_set1_epi8(-128);
    __m512i most = lowest;
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 mask = n - i >= 64 ? ~uint64_t{0} : ~uint64_t{0} >> (64 - (n - i));
        most = _mm512_max_epi8(most, _mm512_mask_loadu_epi8(lowest, mask, x + i));
    }
    const __m256i half = _mm256_max_epi8(_mm512_castsi512_si256(most), _mm512_extracti64x4_epi64(most, 1));
    const __m128i quarter = _mm_max_epi8(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    return _mm512_reduce_max_epi32(_mm512_cvtepi8_epi32(quarter));
}

// See avx2.cc.
struct Shares {
    __m512i inverse, rounding;
    __m128i places;

    Shares(int32_t r, int32_t exponent)
        : inverse(_mm512_set1_epi32(r)), rounding(_mm512_set1_epi64((int64_t{1} << 30) + (int64_t{1} << (30 + exponent)))),
          places(_mm_cvtsi32_si128(31 + exponent)) {}

    __m128i codes(const int32_t *e) const {
        const __m512i v = _mm512_loadu_si512(e);
        const __m512i even = _mm512_srl_epi64(_mm512_add_epi64(_mm512_mul_epu32(v, inverse), rounding), places);
        const __m512i odd = _mm512_srl_epi64(_mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(v, 32), inverse), rounding), places);
        const __m512i shares = _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64(odd, 32));
        return _mm512_cvtsepi32_epi8(_mm512_sub_epi32(shares, _mm512_set1_epi32(128)));
    }
};

void softmax_row(const int8_t *x, int64_t depth, const int32_t *table, int32_t *e, int8_t *y) {
    const uint64_t sum = softmax_lookup(x, depth, largest_of(x, depth), table, e);
    if (sum >= uint64_t{512} << 19) {
        __builtin_memset(y, 0x80, static_cast<size_t>(depth));
        return;
    }
    const int32_t zeros = __builtin_clz(static_cast<uint32_t>(sum));
    const Shares shares(zp_inverse_of_one_plus(static_cast<int32_t>(static_cast<uint32_t>(sum) << (zeros + 1) >> 1)), 12 - zeros + 31 - 8);
    int64_t i = 0;
    for (; i + 16 <= depth; i += 16) _mm_storeu_si128(reinterpret_cast<__m128i *>(y + i), shares.codes(e + i));
    if (i < depth) _mm_mask_storeu_epi8(y + i, static_cast<__mmask16>(0xFFFF >> (16 - (depth - i))), shares.codes(e + i));
}

}  // namespace

void zp_softmax_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const int64_t depth = static_cast<const zp_softmax_params *>(params)->depth;
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const auto *table = static_cast<const int32_t *>(buffers->in[1]);
    auto *e = static_cast<int32_t *>(buffers->scratch);
    for (int64_t i = depth; i < softmax_padded(depth); ++i) e[i] = 0;
    for (int64_t row = begin; row < end; ++row) softmax_row(x + row * depth, depth, table, e,
        static_cast<int8_t *>(buffers->out[0]) + row * depth);
}

}  // namespace zp
