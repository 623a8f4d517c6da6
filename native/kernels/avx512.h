// The intrinsics of every file here that is built for AVX-512 or AVX-VNNI: those of the compiler or, in a build that tests these
// kernels on CPUs without the instructions (ZP_EMULATE_AVX512), the same names in loops.
#ifndef ZP_KERNELS_AVX512_H
#define ZP_KERNELS_AVX512_H

#ifdef ZP_EMULATE_AVX512
#include "avx512_emulated.h"
#else
#include <immintrin.h>
#endif

#endif
