#include <immintrin.h>

#include "loops.h"

// The products are of int16: vpmaddubsw, which takes int8, saturates its sums of two, so exact kernels cannot use it.
// Instructions are written out: left to itself the compiler computes one product for all, or moves sums through memory.
// Only the addition waits for the sum before, so eight accumulators are enough.
int32_t zp_peak_avx2(int64_t rounds) {
    const __m256i a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(-5);
    __m256i s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a;
    for (int64_t r = 0; r < rounds; ++r) {
        __m256i product;
#define ZP_STEP(s) __asm__ volatile("vpmaddwd %2, %3, %1\n\tvpaddd %1, %0, %0" : "+x"(s), "=&x"(product) : "x"(a), "x"(b));
        ZP_STEP(s0) ZP_STEP(s1) ZP_STEP(s2) ZP_STEP(s3) ZP_STEP(s4) ZP_STEP(s5) ZP_STEP(s6) ZP_STEP(s7)
#undef ZP_STEP
    }
    s0 = _mm256_xor_si256(_mm256_xor_si256(s0, s1), _mm256_xor_si256(s2, s3));
    s4 = _mm256_xor_si256(_mm256_xor_si256(s4, s5), _mm256_xor_si256(s6, s7));
    return _mm256_extract_epi32(_mm256_xor_si256(s0, s4), 0);
}
