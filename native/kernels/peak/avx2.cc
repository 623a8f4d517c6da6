#include <immintrin.h>

#include "loops.h"

// vpmaddubsw saturates its sums of two, but where weights are small enough (../matmul/byte_order.h) four of its results add up in
// int16 before they are widened, and that is the most that an exact kernel does with these instructions.
// Instructions are written out: left to itself the compiler computes one product for all, or moves sums through memory.
// Only the last addition waits for the sum before, so eight accumulators are enough.
int32_t zp_peak_avx2(int64_t rounds) {
    const __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5), ones = _mm256_set1_epi16(1);
    __m256i s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a;
    for (int64_t r = 0; r < rounds; ++r) {
        __m256i first, second;
#define ZP_STEP(s)                                                                                                        \
    __asm__ volatile(                                                                                                     \
        "vpmaddubsw %4, %3, %1\n\tvpmaddubsw %4, %3, %2\n\tvpaddw %2, %1, %1\n\t"                                        \
        "vpmaddubsw %4, %3, %2\n\tvpaddw %2, %1, %1\n\tvpmaddubsw %4, %3, %2\n\tvpaddw %2, %1, %1\n\t"                  \
        "vpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"                                                                        \
        : "+x"(s), "=&x"(first), "=&x"(second)                                                                            \
        : "x"(a), "x"(b), "x"(ones));
        ZP_STEP(s0) ZP_STEP(s1) ZP_STEP(s2) ZP_STEP(s3) ZP_STEP(s4) ZP_STEP(s5) ZP_STEP(s6) ZP_STEP(s7)
#undef ZP_STEP
    }
    s0 = _mm256_xor_si256(_mm256_xor_si256(s0, s1), _mm256_xor_si256(s2, s3));
    s4 = _mm256_xor_si256(_mm256_xor_si256(s4, s5), _mm256_xor_si256(s6, s7));
    return _mm256_extract_epi32(_mm256_xor_si256(s0, s4), 0);
}
