#include "../requantize_avx2.h"
#include "../stretch_avx2.h"
#include "add.h"

namespace zp {
namespace {

// See add.h. Sixteen distances to two vectors of rescaled int32, in the order of unpacking.
template <bool HALVES>
struct FastInput {
    __m256i zero_point, upper, lower, addend;
    __m128i k, places, shift;

    FastInput(int32_t z, int32_t left_shift, int32_t multiplier, int32_t right_shift) {
        zero_point = _mm256_set1_epi16(static_cast<int16_t>(z));
        shift = _mm_cvtsi32_si128(HALVES ? left_shift - 17 : -right_shift);
        k = _mm_cvtsi32_si128(31 - left_shift);
        places = _mm_cvtsi32_si128(left_shift - 15);
        if (HALVES) return;
        const AddInput in = add_input(left_shift, multiplier, right_shift);
        upper = _mm256_set1_epi32(in.upper);
        lower = _mm256_set1_epi32(in.lower);
        addend = _mm256_set1_epi32(in.addend);
    }

    __m256i rescaled_pair(__m256i pair) const {
        const __m256i below = _mm256_sra_epi32(_mm256_add_epi32(_mm256_madd_epi16(pair, lower), addend), k);
        return _mm256_sra_epi32(_mm256_add_epi32(_mm256_sll_epi32(_mm256_madd_epi16(pair, upper), places), below), shift);
    }

    void operator()(__m128i codes, __m256i &first, __m256i &second) const {
        __m256i d = _mm256_sub_epi16(_mm256_cvtepi8_epi16(codes), zero_point);
        if (HALVES) {
            d = _mm256_sll_epi16(d, shift);
            first = _mm256_unpacklo_epi16(_mm256_setzero_si256(), d);
            second = _mm256_unpackhi_epi16(_mm256_setzero_si256(), d);
        } else {
            const __m256i negative = _mm256_srai_epi16(d, 15);
            first = rescaled_pair(_mm256_unpacklo_epi16(d, negative));
            second = rescaled_pair(_mm256_unpackhi_epi16(d, negative));
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

    __m256i rescaled_sum(__m256i a, __m256i b) const {
        const __m256i sum = SUBTRACT ? _mm256_sub_epi32(a, b) : _mm256_add_epi32(a, b);
        return _mm256_sra_epi32(fast_high_of_twice(_mm256_add_epi32(sum, sum), output), right);
    }

    __m256i sixteen(__m128i x1, __m128i x2) const {
        __m256i a0, a1, b0, b1;
        input1(x1, a0, a1);
        input2(x2, b0, b1);
        return _mm256_packs_epi32(rescaled_sum(a0, b0), rescaled_sum(a1, b1));
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        const __m256i left = sixteen(_mm256_castsi256_si128(x1), _mm256_castsi256_si128(x2));
        const __m256i right_half = sixteen(_mm256_extracti128_si256(x1, 1), _mm256_extracti128_si256(x2, 1));
        const __m256i codes = _mm256_permute4x64_epi64(_mm256_packs_epi16(left, right_half), 0xD8);
        return _mm256_min_epi8(_mm256_max_epi8(codes, low), high);
    }
};

template <class Exact>
__attribute__((noinline)) __m256i exactly(const Exact &exact, __m256i x1, __m256i x2) {
    return exact(x1, x2);
}

// The short form, with the fast one for the doubtful. Unpacking and packing stay within 128 bits, so that the order does, too.
template <class Exact>
struct ShortCodes {
    const Exact &exact;
    __m256i upper, lower, constant, last_doubt;
    __m128i k, above;

    ShortCodes(const AddShort &s, const Exact &fast)
        : exact(fast),
          upper(_mm256_set1_epi32(s.upper)),
          lower(_mm256_set1_epi32(s.lower)),
          constant(_mm256_set1_epi32(s.constant)),
          last_doubt(_mm256_set1_epi32(static_cast<int32_t>((static_cast<uint32_t>(s.doubt) << (32 - s.k)) - 1))),
          k(_mm_cvtsi32_si128(s.k)),
          above(_mm_cvtsi32_si128(32 - s.k)) {}

    // Eight pairs of codes, times 256. `nearest`: the least of Q mod 2^k so far.
    __m256i eight(__m256i pairs, __m256i &nearest) const {
        const __m256i fine = _mm256_add_epi32(_mm256_madd_epi16(_mm256_srai_epi16(pairs, 8), lower), constant);
        const __m256i q = _mm256_add_epi32(_mm256_madd_epi16(pairs, upper), fine);
        nearest = _mm256_min_epu32(nearest, _mm256_sll_epi32(q, above));
        return _mm256_sra_epi32(q, k);
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        const __m256i zero = _mm256_setzero_si256();
        const __m256i first = _mm256_unpacklo_epi8(x1, x2), second = _mm256_unpackhi_epi8(x1, x2);
        __m256i nearest = _mm256_set1_epi32(-1);
        const __m256i a = eight(_mm256_unpacklo_epi8(zero, first), nearest), b = eight(_mm256_unpackhi_epi8(zero, first), nearest);
        const __m256i c = eight(_mm256_unpacklo_epi8(zero, second), nearest), d = eight(_mm256_unpackhi_epi8(zero, second), nearest);
        const __m256i doubtful = _mm256_cmpeq_epi32(_mm256_min_epu32(nearest, last_doubt), nearest);
        if (__builtin_expect(_mm256_movemask_epi8(doubtful) != 0, 0)) return exactly(exact, x1, x2);
        const __m256i codes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        return _mm256_min_epi8(_mm256_max_epi8(codes, exact.low), exact.high);
    }
};

// Any parameters.
struct AnyCodes {
    Rescale r1, r2, ry;
    __m256i z1, z2, zy, low, high;
    __m128i left_shift;
    bool subtract;

    explicit AnyCodes(const zp_add_params &p)
        : r1(make_rescale(p.multiplier1, p.shift1)), r2(make_rescale(p.multiplier2, p.shift2)),
          ry(make_rescale(p.output_multiplier, p.output_shift)), z1(_mm256_set1_epi32(p.input1_zero_point)),
          z2(_mm256_set1_epi32(p.input2_zero_point)), zy(_mm256_set1_epi32(p.output_zero_point)),
          low(_mm256_set1_epi32(p.clamp_min)), high(_mm256_set1_epi32(p.clamp_max)), left_shift(_mm_cvtsi32_si128(p.left_shift)),
          subtract(p.subtract != 0) {}

    __m256i eight(__m128i x1, __m128i x2) const {
        const auto fine = [&](__m128i codes, __m256i zero_point, const Rescale &r) {
            return rescaled(_mm256_sll_epi32(_mm256_sub_epi32(_mm256_cvtepi8_epi32(codes), zero_point), left_shift), r);
        };
        const __m256i a = fine(x1, z1, r1), b = fine(x2, z2, r2);
        return offset_and_clamped(rescaled(subtract ? _mm256_sub_epi32(a, b) : _mm256_add_epi32(a, b), ry), zy, low, high);
    }

    __m256i sixteen(__m128i x1, __m128i x2) const {
        const __m256i a = eight(x1, x2), b = eight(_mm_srli_si128(x1, 8), _mm_srli_si128(x2, 8));
        return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
    }

    __m256i operator()(__m256i x1, __m256i x2) const {
        const __m256i a = sixteen(_mm256_castsi256_si128(x1), _mm256_castsi256_si128(x2));
        const __m256i b = sixteen(_mm256_extracti128_si256(x1, 1), _mm256_extracti128_si256(x2, 1));
        return _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xD8);
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

void zp_add_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const auto &p = *static_cast<const zp_add_params *>(params);
    if (!add_is_fast(p)) return broadcast_stretches(AnyCodes(p), p, buffers, begin, end);
    const bool first = add_halves(p.multiplier1, p.shift1), second = add_halves(p.multiplier2, p.shift2);
    if (first && second) return add<true, true>(p, buffers, begin, end);
    if (first) return add<true, false>(p, buffers, begin, end);
    if (second) return add<false, true>(p, buffers, begin, end);
    add<false, false>(p, buffers, begin, end);
}

}  // namespace zp
