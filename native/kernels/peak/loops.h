// The loops of peak.h, one a file, compiled for their instruction set. No standard library here: an inline function of it
// compiled with those flags could be the copy that the linker keeps for everybody.
#ifndef ZP_KERNELS_PEAK_LOOPS_H
#define ZP_KERNELS_PEAK_LOOPS_H

#include <stdint.h>

extern "C" {
int32_t zp_peak_portable(int64_t rounds);
int32_t zp_peak_avx2(int64_t rounds);
int32_t zp_peak_avxvnni(int64_t rounds);
int32_t zp_peak_avx512vnni(int64_t rounds);
int32_t zp_peak_neon(int64_t rounds);
int32_t zp_peak_neondot(int64_t rounds);
}
#endif
