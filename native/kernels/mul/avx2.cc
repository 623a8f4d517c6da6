#include "../requantize_avx2.h"
#include "../stretch_avx2.h"
#include "mul.h"

namespace zp {
namespace {

// FACTOR d1 d2 of sixteen codes, as two vectors of int32 in the order of unpacking.
template <int FACTOR>
struct Products {
    __m256i z1, z2;

    explicit Products(const zp_mul_params &p)
        : z1(_mm256_set1_epi16(static_cast<int16_t>(p.input1_zero_point))),
            z2(_mm256_set1_epi16(static_cast<int16_t>(p.input2_zero_point))) {}

    void operator()(__m128i x1, __m128i x2, __m256i &first, __m256i &second) const {
        __m256i a = _mm256_sub_epi16(_mm256_cvtepi8_epi16(x1), z1);
        const __m256i b = _mm256_sub_epi16(_mm256_cvtepi8_epi16(x2), z2);
        if (FACTOR == 2) a = _mm256_add_epi16(a, a);
        const __m256i low = _mm256_mullo_epi16(a, b), high = _mm256_mulhi_epi16(a, b);
        first = _mm256_unpacklo_epi16(low, high);
        second = _mm256_unpackhi_epi16(low, high);
    }
};

// Rescaled: what makes codes of FACTOR times the products, without the clamp.
struct FastOutput {
    static constexpr int kFactor = 2;
    FastRescale output;
    __m128i right;

    explicit FastOutput(const zp_mul_params &p)
        : output(make_fast_rescale(p.multiplier, p.shift, p.output_zero_point)), right(_mm_cvtsi32_si128(-p.shift)) {}
    __m256i operator()(__m256i twice) const { return _mm256_sra_epi32(fast_high_of_twice(twice, output), right); }
};

struct AnyOutput {
    static constexpr int kFactor = 1;
    Rescale output;
    __m256i zero_point;

    explicit AnyOutput(const zp_mul_params &p) : output(make_rescale(p.multiplier, p.shift)),
        zero_point(_mm256_set1_epi32(p.output_zero_point)) {}
    __m256i operator()(__m256i x) const { return _mm256_add_epi32(rescaled(x, output), zero_point); }
};

template <class Output>
struct Codes {
    Products<Output::kFactor> products;
    Output output;
    __m256i low, high;

    explicit Codes(const zp_mul_params &p)
        : products(p), output(p), low(_mm256_set1_epi8(static_cast<char>(p.clamp_min))),
            high(_mm256_set1_epi8(static_cast<char>(p.clamp_max))) {}

    __m256i sixteen(__m128i x1, __m128i x2) const {
        __m256i first, second;
        products(x1, x2, first, second);
        return _mm256_packs_epi32(output(first), output(second));
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        const __m256i a = sixteen(_mm256_castsi256_si128(x1), _mm256_castsi256_si128(x2));
        const __m256i b = sixteen(_mm256_extracti128_si256(x1, 1), _mm256_extracti128_si256(x2, 1));
        const __m256i codes = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xD8);
        return _mm256_min_epi8(_mm256_max_epi8(codes, low), high);
    }
};

}  // namespace

void zp_mul_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_mul_params *>(params);
    if (mul_is_fast(p)) {
        broadcast_stretches(Codes<FastOutput>(p), p, buffers, begin, end);
    } else {
        broadcast_stretches(Codes<AnyOutput>(p), p, buffers, begin, end);
    }
}

}  // namespace zp
