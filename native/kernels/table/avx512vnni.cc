// The telescoping shuffles of avx2.cc on 64 codes, two rows for one three-way xor.
#include "../avx512.h"
#include "table.h"

namespace zp {
namespace {

struct Rows {
    __m512i difference[16];  // for codes 0..127, then for -128..-1

    explicit Rows(const int8_t *table) {
        const auto row = [&](int k) {
            return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table + 16 * ((k + 8) % 16))));
        };
        for (int k = 0; k < 16; ++k) difference[k] = k % 8 == 0 ? row(k) : _mm512_xor_si512(row(k), row(k - 1));
    }

    __m512i operator()(__m512i x) const {
        const __m512i sixteen = _mm512_set1_epi8(16);
        __m512i lifted = _mm512_xor_si512(x, _mm512_set1_epi8(-128));
        __m512i a = _mm512_xor_si512(_mm512_shuffle_epi8(difference[0], x), _mm512_shuffle_epi8(difference[8], lifted));
#pragma GCC unroll 8
        for (int k = 1; k < 8; ++k) {
            x = _mm512_subs_epi8(x, sixteen);
            lifted = _mm512_subs_epi8(lifted, sixteen);
            a = _mm512_ternarylogic_epi32(a, _mm512_shuffle_epi8(difference[k], x), _mm512_shuffle_epi8(difference[8 + k], lifted), 0x96);
        }
        return a;
    }
};

}  // namespace

void zp_table_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const int8_t *x = static_cast<const int8_t *>(buffers->in[0]) + begin;
    int8_t *y = static_cast<int8_t *>(buffers->out[0]) + begin;
    const int64_t n = static_cast<int64_t>(end) - begin;
    const Rows rows(static_cast<const zp_table_params *>(params)->table);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) _mm512_storeu_si512(y + i, rows(_mm512_loadu_si512(x + i)));
    if (i == n) return;
    const __mmask64 mask = ~uint64_t{0} >> (64 - (n - i));
    _mm512_mask_storeu_epi8(y + i, mask, rows(_mm512_maskz_loadu_epi8(mask, x + i)));
}

}  // namespace zp
