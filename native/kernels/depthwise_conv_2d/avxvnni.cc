// AVX-VNNI: vpdpwssd is the multiplication and the addition in one. No standard library here.
#include "../avx512.h"

namespace zp {
namespace {
struct MultiplyAdd {
    static inline __m256i sum(__m256i acc, __m256i x, __m256i w) { return _mm256_dpwssd_avx_epi32(acc, x, w); }
};
}  // namespace
}  // namespace zp

#include "rows_256.h"

namespace zp {

void zp_depthwise_conv_2d_s8_avxvnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    depthwise_units(params, buffers, begin, end, zp_depthwise_rows_avxvnni);
}

void zp_depthwise_rows_avxvnni(const zp_depthwise_conv_2d_params &p, const uint8_t *packed, const int8_t *x, int64_t n, int64_t oh0, int64_t oh1,
                            int64_t c0, int64_t c1, int8_t *out, int64_t row_pitch, int64_t pixel_pitch, void *scratch) {
    depthwise_rows(p, packed, x, n, oh0, oh1, c0, c1, out, row_pitch, pixel_pitch, scratch);
}

}  // namespace zp
