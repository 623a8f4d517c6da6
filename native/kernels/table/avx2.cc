// A byte shuffle takes entry x mod 16 of its row where 0 <= x, and zero where x < 0. With a row of differences, D[k] = row k xor
// row k - 1, and x lowered by 16 each time (saturating, so that it stays negative), the xor of all shuffles telescopes to row
// x / 16. Codes from -128 on are counted with their top bit inverted; each half leaves zero to the other.
#include <immintrin.h>

#include "table.h"

namespace zp {
namespace {

struct Rows {
    __m256i difference[16];  // for codes 0..127, then for -128..-1

    explicit Rows(const int8_t *table) {
        const auto row = [&](int k) {
            return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table + 16 * ((k + 8) % 16))));
        };
        for (int k = 0; k < 16; ++k) difference[k] = k % 8 == 0 ? row(k) : _mm256_xor_si256(row(k), row(k - 1));
    }

    __m256i operator()(__m256i x) const {
        const __m256i sixteen = _mm256_set1_epi8(16);
        __m256i lifted = _mm256_xor_si256(x, _mm256_set1_epi8(-128));
        __m256i a = _mm256_shuffle_epi8(difference[0], x), b = _mm256_shuffle_epi8(difference[8], lifted);
#pragma GCC unroll 8
        for (int k = 1; k < 8; ++k) {
            x = _mm256_subs_epi8(x, sixteen);
            lifted = _mm256_subs_epi8(lifted, sixteen);
            a = _mm256_xor_si256(a, _mm256_shuffle_epi8(difference[k], x));
            b = _mm256_xor_si256(b, _mm256_shuffle_epi8(difference[8 + k], lifted));
        }
        return _mm256_xor_si256(a, b);
    }
};

}  // namespace

void zp_table_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const int8_t *table = static_cast<const zp_table_params *>(params)->table;
    const int8_t *x = static_cast<const int8_t *>(buffers->in[0]) + begin;
    int8_t *y = static_cast<int8_t *>(buffers->out[0]) + begin;
    const int64_t n = static_cast<int64_t>(end) - begin;
    if (n < 32) {
        for (int64_t i = 0; i < n; ++i) y[i] = table[x[i] + 128];
        return;
    }
    const Rows rows(table);
    const auto found = [&](int64_t i) { return rows(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(x + i))); };
    const auto store = [&](int64_t i, __m256i codes) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(y + i), codes); };
    const __m256i last = found(n - 32);  // overlaps the one before it, and the output may lie in the input's place
    for (int64_t i = 0; i + 32 < n; i += 32) store(i, found(i));
    store(n - 32, last);
}

}  // namespace zp
