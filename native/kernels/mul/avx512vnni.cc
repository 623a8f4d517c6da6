#include "../requantize_avx512.h"
#include "../stretch_avx512.h"
#include "mul.h"

namespace zp {
namespace {

// FACTOR d1 d2 of 32 codes, as two vectors of int32 in the order of unpacking.
template <int FACTOR>
struct Products {
    __m512i z1, z2;

    explicit Products(const zp_mul_params &p)
        : z1(_mm512_set1_epi16(static_cast<int16_t>(p.input1_zero_point))),
            z2(_mm512_set1_epi16(static_cast<int16_t>(p.input2_zero_point))) {}

    void operator()(__m256i x1, __m256i x2, __m512i &first, __m512i &second) const {
        __m512i a = _mm512_sub_epi16(_mm512_cvtepi8_epi16(x1), z1);
        const __m512i b = _mm512_sub_epi16(_mm512_cvtepi8_epi16(x2), z2);
        if (FACTOR == 2) a = _mm512_add_epi16(a, a);
        const __m512i low = _mm512_mullo_epi16(a, b), high = _mm512_mulhi_epi16(a, b);
        first = _mm512_unpacklo_epi16(low, high);
        second = _mm512_unpackhi_epi16(low, high);
    }
};

// Rescaled: what makes codes of FACTOR times the products, without the clamp.
struct FastOutput {
    static constexpr int kFactor = 2;
    FastRescale output;
    __m128i right;

    explicit FastOutput(const zp_mul_params &p)
        : output(make_fast_rescale(p.multiplier, p.shift, p.output_zero_point)), right(_mm_cvtsi32_si128(-p.shift)) {}
    __m512i operator()(__m512i twice) const { return _mm512_sra_epi32(fast_high_of_twice(twice, output), right); }
};

struct AnyOutput {
    static constexpr int kFactor = 1;
    Rescale output;
    __m512i zero_point;

    explicit AnyOutput(const zp_mul_params &p) : output(make_rescale(p.multiplier, p.shift)),
        zero_point(_mm512_set1_epi32(p.output_zero_point)) {}
    __m512i operator()(__m512i x) const { return _mm512_add_epi32(rescaled(x, output), zero_point); }
};

template <class Output>
struct Codes {
    Products<Output::kFactor> products;
    Output output;
    __m256i low, high;

    explicit Codes(const zp_mul_params &p)
        : products(p), output(p), low(_mm256_set1_epi8(static_cast<char>(p.clamp_min))),
            high(_mm256_set1_epi8(static_cast<char>(p.clamp_max))) {}

    __m256i operator()(__m256i x1, __m256i x2) const {
        __m512i first, second;
        products(x1, x2, first, second);
        const __m256i codes = _mm512_cvtsepi16_epi8(_mm512_packs_epi32(output(first), output(second)));
        return _mm256_min_epi8(_mm256_max_epi8(codes, low), high);
    }
};

}  // namespace

void zp_mul_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_mul_params *>(params);
    if (mul_is_fast(p)) {
        broadcast_stretches(Codes<FastOutput>(p), p, buffers, begin, end);
    } else {
        broadcast_stretches(Codes<AnyOutput>(p), p, buffers, begin, end);
    }
}

}  // namespace zp
