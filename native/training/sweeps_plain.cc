#include "simd_plain.h"
#include "sweeps_body.h"

ZP_SWEEPS(plain);
