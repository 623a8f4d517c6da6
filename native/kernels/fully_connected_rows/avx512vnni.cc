// AVX-512 VNNI: vpdpbusd on 512 bits (vnni.h).
#include "../matmul/avx512_codes.h"
#include "vnni.h"

namespace zp {
namespace {

struct Avx512VnniSet {
    using Vector = __m512i;
    static constexpr unsigned lanes = 16;

    static ZP_INLINE Vector load(const uint8_t *from) { return zp::load(from); }
    static ZP_INLINE Vector four_of(const uint8_t *from) {
        int32_t four;
        __builtin_memcpy(&four, from, 4);
        return _mm512_set1_epi32(four);
    }
    static ZP_INLINE Vector zero() { return _mm512_setzero_si512(); }
    static ZP_INLINE Vector all(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
    static ZP_INLINE Vector every(int32_t value) { return _mm512_set1_epi32(value); }
    static ZP_INLINE Vector and_(Vector a, Vector b) { return _mm512_and_si512(a, b); }
    static ZP_INLINE Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
    static ZP_INLINE Vector minus(Vector a, Vector b) { return _mm512_sub_epi32(a, b); }
    static ZP_INLINE Vector sixteenth(Vector a) { return _mm512_srai_epi32(a, 4); }
    static ZP_INLINE Vector dot(Vector sum, Vector s, Vector x) { return _mm512_dpbusd_epi32(sum, s, x); }
    static ZP_INLINE Vector bias(const uint8_t *table, unsigned v) { return zp::load(table + 128 * kBias + 64 * v); }

    template <unsigned ROWS, unsigned VECTORS>
    static ZP_INLINE void finish(Vector (&found)[ROWS][VECTORS], const RowsTile &t) {
        zp::finish<ROWS, VECTORS>(found, t);
    }
};

}  // namespace

ZP_ROWS_KERNELS(avx512vnni, VnniRows<Avx512VnniSet>)

}  // namespace zp
