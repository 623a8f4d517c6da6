#include <immintrin.h>

#include "loops.h"

// Written out, or the compiler would know that all sums are equal and compute none.
int32_t zp_peak_avx512vnni(int64_t rounds) {
    const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
    __m512i s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;
    for (int64_t r = 0; r < rounds; ++r) {
#define ZP_STEP(s) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(a), "v"(b));
        ZP_STEP(s0) ZP_STEP(s1) ZP_STEP(s2) ZP_STEP(s3) ZP_STEP(s4) ZP_STEP(s5)
        ZP_STEP(s6) ZP_STEP(s7) ZP_STEP(s8) ZP_STEP(s9) ZP_STEP(s10) ZP_STEP(s11)
#undef ZP_STEP
    }
    s0 = _mm512_xor_si512(_mm512_xor_si512(s0, s1), _mm512_xor_si512(s2, s3));
    s4 = _mm512_xor_si512(_mm512_xor_si512(s4, s5), _mm512_xor_si512(s6, s7));
    s8 = _mm512_xor_si512(_mm512_xor_si512(s8, s9), _mm512_xor_si512(s10, s11));
    return _mm_cvtsi128_si32(_mm512_castsi512_si128(_mm512_xor_si512(s0, _mm512_xor_si512(s4, s8))));
}
