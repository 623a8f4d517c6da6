#include "simd_avx2.h"
#include "sweeps_body.h"

ZP_SWEEPS(avx2);
