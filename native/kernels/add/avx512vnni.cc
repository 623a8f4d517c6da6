#include "../requantize_avx512.h"
#include "../stretch_avx512.h"
#include "add.h"

namespace zp {
namespace {

// See add.h. Thirty-two distances to two vectors of rescaled int32, in the order of unpacking.
template <bool HALVES>
struct FastInput {
    __m512i zero_point, upper, lower, addend;
    __m128i k, places, shift;

    FastInput(int32_t z, int32_t left_shift, int32_t multiplier, int32_t right_shift) {
        zero_point = _mm512_set1_epi16(static_cast<int16_t>(z));
        shift = _mm_cvtsi32_si128(HALVES ? left_shift - 17 : -right_shift);
        k = _mm_cvtsi32_si128(31 - left_shift);
        places = _mm_cvtsi32_si128(left_shift - 15);
        if (HALVES) return;
        const AddInput in = add_input(left_shift, multiplier, right_shift);
        upper = _mm512_set1_epi32(in.upper);
        lower = _mm512_set1_epi32(in.lower);
        addend = _mm512_set1_epi32(in.addend);
    }

    __m512i rescaled_pair(__m512i pair) const {
        const __m512i below = _mm512_sra_epi32(_mm512_add_epi32(_mm512_madd_epi16(pair, lower), addend), k);
        return _mm512_sra_epi32(_mm512_add_epi32(_mm512_sll_epi32(_mm512_madd_epi16(pair, upper), places), below), shift);
    }

    void operator()(__m256i codes, __m512i &first, __m512i &second) const {
        __m512i d = _mm512_sub_epi16(_mm512_cvtepi8_epi16(codes), zero_point);
        if (HALVES) {
            d = _mm512_sll_epi16(d, shift);
            first = _mm512_unpacklo_epi16(_mm512_setzero_si512(), d);
            second = _mm512_unpackhi_epi16(_mm512_setzero_si512(), d);
        } else {
            const __m512i negative = _mm512_srai_epi16(d, 15);
            first = rescaled_pair(_mm512_unpacklo_epi16(d, negative));
            second = rescaled_pair(_mm512_unpackhi_epi16(d, negative));
        }
    }
};

template <bool HALVES1, bool HALVES2, bool SUBTRACT>
struct FastCodes {
    FastInput<HALVES1> input1;
    FastInput<HALVES2> input2;
    FastRescale output;
    __m128i right;
    __m256i low, high;

    explicit FastCodes(const zp_add_params &p)
        : input1(p.input1_zero_point, p.left_shift, p.multiplier1, p.shift1),
          input2(p.input2_zero_point, p.left_shift, p.multiplier2, p.shift2),
          output(make_fast_rescale(p.output_multiplier, p.output_shift, p.output_zero_point)),
          right(_mm_cvtsi32_si128(-p.output_shift)),
          low(_mm256_set1_epi8(static_cast<char>(p.clamp_min))),
          high(_mm256_set1_epi8(static_cast<char>(p.clamp_max))) {}

    __m512i rescaled_sum(__m512i a, __m512i b) const {
        const __m512i sum = SUBTRACT ? _mm512_sub_epi32(a, b) : _mm512_add_epi32(a, b);
        return _mm512_sra_epi32(fast_high_of_twice(_mm512_add_epi32(sum, sum), output), right);
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        __m512i a0, a1, b0, b1;
        input1(x1, a0, a1);
        input2(x2, b0, b1);
        const __m256i codes = _mm512_cvtsepi16_epi8(_mm512_packs_epi32(rescaled_sum(a0, b0), rescaled_sum(a1, b1)));
        return _mm256_min_epi8(_mm256_max_epi8(codes, low), high);
    }
};

template <class Exact>
__attribute__((noinline)) __m256i exactly(const Exact &exact, __m256i x1, __m256i x2) {
    return exact(x1, x2);
}

// The short form, with the fast one for the doubtful.
template <class Exact>
struct ShortCodes {
    const Exact &exact;
    __m512i upper, lower, constant, doubt;
    __m128i k, above;

    ShortCodes(const AddShort &s, const Exact &fast)
        : exact(fast),
          upper(_mm512_set1_epi32(s.upper)),
          lower(_mm512_set1_epi32(s.lower)),
          constant(_mm512_set1_epi32(s.constant)),
          doubt(_mm512_set1_epi32(static_cast<int32_t>(static_cast<uint32_t>(s.doubt) << (32 - s.k)))),
          k(_mm_cvtsi32_si128(s.k)),
          above(_mm_cvtsi32_si128(32 - s.k)) {}

    // Sixteen pairs of codes, times 256, to Q.
    __m512i sixteen(__m512i pairs) const {
        const __m512i fine = _mm512_add_epi32(_mm512_madd_epi16(_mm512_srai_epi16(pairs, 8), lower), constant);
        return _mm512_add_epi32(_mm512_madd_epi16(pairs, upper), fine);
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        // Of the codes' eights: 0 and 2, then 1 and 3, whose halves unpacking to words parts and packing joins.
        const __m512i pairs = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_unpacklo_epi8(x1, x2)), _mm256_unpackhi_epi8(x1, x2), 1);
        const __m512i zero = _mm512_setzero_si512();
        const __m512i a = sixteen(_mm512_unpacklo_epi8(zero, pairs)), b = sixteen(_mm512_unpackhi_epi8(zero, pairs));
        const __m512i nearest = _mm512_min_epu32(_mm512_sll_epi32(a, above), _mm512_sll_epi32(b, above));
        if (__builtin_expect(_mm512_cmplt_epu32_mask(nearest, doubt) != 0, 0)) return exactly(exact, x1, x2);
        const __m256i codes = _mm512_cvtsepi16_epi8(_mm512_packs_epi32(_mm512_sra_epi32(a, k), _mm512_sra_epi32(b, k)));
        return _mm256_min_epi8(_mm256_max_epi8(_mm256_permute4x64_epi64(codes, 0xD8), exact.low), exact.high);
    }
};

// Any parameters.
struct AnyCodes {
    Rescale r1, r2, ry;
    __m512i z1, z2, zy, low, high;
    __m128i left_shift;
    bool subtract;

    explicit AnyCodes(const zp_add_params &p)
        : r1(make_rescale(p.multiplier1, p.shift1)), r2(make_rescale(p.multiplier2, p.shift2)),
          ry(make_rescale(p.output_multiplier, p.output_shift)), z1(_mm512_set1_epi32(p.input1_zero_point)),
          z2(_mm512_set1_epi32(p.input2_zero_point)), zy(_mm512_set1_epi32(p.output_zero_point)),
          low(_mm512_set1_epi32(p.clamp_min)), high(_mm512_set1_epi32(p.clamp_max)), left_shift(_mm_cvtsi32_si128(p.left_shift)),
          subtract(p.subtract != 0) {}

    __m128i sixteen(__m128i x1, __m128i x2) const {
        const auto fine = [&](__m128i codes, __m512i zero_point, const Rescale &r) {
            return rescaled(_mm512_sll_epi32(_mm512_sub_epi32(_mm512_cvtepi8_epi32(codes), zero_point), left_shift), r);
        };
        const __m512i a = fine(x1, z1, r1), b = fine(x2, z2, r2);
        return _mm512_cvtepi32_epi8(offset_and_clamped(rescaled(subtract ? _mm512_sub_epi32(a, b) : _mm512_add_epi32(a, b), ry), zy,
            low, high));
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        return _mm256_set_m128i(sixteen(_mm256_extracti128_si256(x1, 1), _mm256_extracti128_si256(x2, 1)),
                                sixteen(_mm256_castsi256_si128(x1), _mm256_castsi256_si128(x2)));
    }
};

template <bool HALVES1, bool HALVES2, bool SUBTRACT>
void add(const zp_add_params &p, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const FastCodes<HALVES1, HALVES2, SUBTRACT> fast(p);
    const AddShort s = add_short(p);
    if (s.fits) return broadcast_stretches(ShortCodes<FastCodes<HALVES1, HALVES2, SUBTRACT>>(s, fast), p, buffers, begin, end);
    broadcast_stretches(fast, p, buffers, begin, end);
}

template <bool HALVES1, bool HALVES2>
void add(const zp_add_params &p, const zp_buffers *buffers, int32_t begin, int32_t end) {
    if (p.subtract) {
        add<HALVES1, HALVES2, true>(p, buffers, begin, end);
    } else {
        add<HALVES1, HALVES2, false>(p, buffers, begin, end);
    }
}

}  // namespace

void zp_add_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_add_params *>(params);
    if (!add_is_fast(p)) return broadcast_stretches(AnyCodes(p), p, buffers, begin, end);
    const bool first = add_halves(p.multiplier1, p.shift1), second = add_halves(p.multiplier2, p.shift2);
    if (first && second) return add<true, true>(p, buffers, begin, end);
    if (first) return add<true, false>(p, buffers, begin, end);
    if (second) return add<false, true>(p, buffers, begin, end);
    add<false, false>(p, buffers, begin, end);
}

}  // namespace zp
