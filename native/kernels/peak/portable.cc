#include "loops.h"

// The lanes are a plain array: whether they become vector registers is the compiler's choice, as for the portable kernels.
int32_t zp_peak_portable(int64_t rounds) {
    uint32_t sums[32] = {};
    uint32_t factor = 3;
    for (int64_t r = 0; r < rounds; ++r) {
        __asm__ volatile("" : "+r"(factor));  // or one multiplication would do for all rounds
        for (uint32_t i = 0; i < 32; ++i) sums[i] += factor * (sums[i] | i);
    }
    uint32_t total = 0;
    for (uint32_t s : sums) total += s;
    return static_cast<int32_t>(total);
}
