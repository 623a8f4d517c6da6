#include "simd_avx512.h"
#include "sweeps_body.h"

ZP_SWEEPS(avx512);
