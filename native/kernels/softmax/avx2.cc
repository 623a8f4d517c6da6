#include <immintrin.h>

#include "../../portable/exponential.h"
#include "softmax.h"

namespace zp {
namespace {

int32_t largest_of(const int8_t *x, int64_t n) {
    int32_t largest = -128;
    if (n < 32) {
        for (int64_t i = 0; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
        return largest;
    }
    const auto load = [&](int64_t i) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(x + i)); };
    __m256i most = load(n - 32);
    for (int64_t i = 0; i + 32 <= n; i += 32) most = _mm256_max_epi8(most, load(i));
    int8_t each[32];
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(each), most);
    for (int i = 0; i < 32; ++i) largest = each[i] > largest ? each[i] : largest;
    return largest;
}

// (e r / 2^31, rounded) / 2^exponent, rounded, minus 128: e and r are not negative, so that both roundings are one
// addition to the product.
struct Shares {
    __m256i inverse, rounding;
    __m128i places;

    Shares(int32_t r, int32_t exponent)
        : inverse(_mm256_set1_epi32(r)),
          rounding(_mm256_set1_epi64x((int64_t{1} << 30) + (int64_t{1} << (30 + exponent)))), places(_mm_cvtsi32_si128(31 + exponent)) {}

    __m256i eight(const int32_t *e) const {
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(e));
        const __m256i even = _mm256_srl_epi64(_mm256_add_epi64(_mm256_mul_epu32(v, inverse), rounding), places);
        const __m256i odd = _mm256_srl_epi64(_mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(v, 32), inverse), rounding), places);
        return _mm256_sub_epi32(_mm256_or_si256(even, _mm256_slli_epi64(odd, 32)), _mm256_set1_epi32(128));
    }

    __m256i codes(const int32_t *e) const {
        const __m256i a = _mm256_packs_epi32(eight(e), eight(e + 8)), b = _mm256_packs_epi32(eight(e + 16), eight(e + 24));
        return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
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
    for (; i + 32 <= depth; i += 32) _mm256_storeu_si256(reinterpret_cast<__m256i *>(y + i), shares.codes(e + i));
    if (i == depth) return;
    int8_t last[32];
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(last), shares.codes(e + i));
    __builtin_memcpy(y + i, last, static_cast<size_t>(depth - i));
}

}  // namespace

void zp_softmax_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const int64_t depth = static_cast<const zp_softmax_params *>(params)->depth;
    const auto *x = static_cast<const int8_t *>(buffers->in[0]);
    const auto *table = static_cast<const int32_t *>(buffers->in[1]);
    auto *e = static_cast<int32_t *>(buffers->scratch);
    for (int64_t i = depth; i < softmax_padded(depth); ++i) e[i] = 0;
    for (int64_t row = begin; row < end; ++row) softmax_row(x + row * depth, depth, table, e,
        static_cast<int8_t *>(buffers->out[0]) + row * depth);
}

}  // namespace zp
