#include "../kernels/requantize_avx512.h"

#include <cstdint>

namespace zp {
namespace {
struct Set {
    static constexpr const char *kName = "avx512";
    static constexpr int kLanes = 16;
    static __m512i load(const std::int32_t *from) { return _mm512_loadu_si512(from); }
    static void store(std::int32_t *to, __m512i v) { _mm512_storeu_si512(to, v); }
};
}  // namespace
}  // namespace zp

#include "test_requantize_body.h"

void test_requantize_avx512() { zp::test_all(); }
