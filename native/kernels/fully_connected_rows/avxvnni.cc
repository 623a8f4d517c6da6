// AVX-VNNI: vpdpbusd on 256 bits (vnni.h).
#include "../avx512.h"
#include "../matmul/avx2_codes.h"
#include "vnni.h"

namespace zp {
namespace {

struct AvxVnniSet {
    using Vector = __m256i;
    static constexpr unsigned lanes = 8;

    static ZP_INLINE Vector load(const uint8_t *from) { return zp::load(from); }
    static ZP_INLINE Vector four_of(const uint8_t *from) {
        int32_t four;
        __builtin_memcpy(&four, from, 4);
        return _mm256_set1_epi32(four);
    }
    static ZP_INLINE Vector zero() { return _mm256_setzero_si256(); }
    static ZP_INLINE Vector all(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
    static ZP_INLINE Vector every(int32_t value) { return _mm256_set1_epi32(value); }
    static ZP_INLINE Vector and_(Vector a, Vector b) { return _mm256_and_si256(a, b); }
    static ZP_INLINE Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
    static ZP_INLINE Vector minus(Vector a, Vector b) { return _mm256_sub_epi32(a, b); }
    static ZP_INLINE Vector sixteenth(Vector a) { return _mm256_srai_epi32(a, 4); }
    static ZP_INLINE Vector dot(Vector sum, Vector s, Vector x) { return _mm256_dpbusd_avx_epi32(sum, s, x); }
    static ZP_INLINE Vector bias(const uint8_t *table, unsigned v) { return zp::load(table + 64 * kBias + 32 * v); }

    template <unsigned ROWS, unsigned VECTORS>
    static ZP_INLINE void finish(const Vector (&found)[ROWS][VECTORS], const RowsTile &t) {
        Sums<ROWS, VECTORS> sums;
        repeat<ROWS>([&](auto r) ZP_INLINE { repeat<VECTORS>([&](auto v) ZP_INLINE { sums.of[r][v] = found[r][v]; }); });
        sums.finish(t);
    }
};

}  // namespace

ZP_ROWS_KERNELS(avxvnni, VnniRows<AvxVnniSet>)

}  // namespace zp
