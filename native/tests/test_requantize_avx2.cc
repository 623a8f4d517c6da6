#include "../kernels/requantize_avx2.h"

#include <cstdint>

namespace zp {
namespace {
struct Set {
    static constexpr const char *kName = "avx2";
    static constexpr int kLanes = 8;
    static __m256i load(const std::int32_t *from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)); }
    static void store(std::int32_t *to, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), v); }
};
}  // namespace
}  // namespace zp

#include "test_requantize_body.h"

void test_requantize_avx2() { zp::test_all(); }
