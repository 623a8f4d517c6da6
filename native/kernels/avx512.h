// The intrinsics of every file here that is built for one instruction set: those of the compiler or, in a build that emulates
// AVX-512 in order to test its kernels on CPUs without it (ZP_EMULATE_AVX512), the same names in portable code.
#ifndef ZP_KERNELS_AVX512_H
#define ZP_KERNELS_AVX512_H

#ifdef ZP_EMULATE_AVX512
#include "avx512_emulated.h"
#else
#include <immintrin.h>
#endif

#endif
