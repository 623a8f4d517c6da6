#include "pool_2d.h"

namespace zp {

bool zp_pool_2d_accepts_avx2(const void *params) { return static_cast<const zp_pool_2d_params *>(params)->channels >= 8; }

}  // namespace zp
