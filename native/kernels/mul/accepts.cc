#include "../broadcast.h"
#include "mul.h"

namespace zp {

bool zp_mul_accepts(const void *params) { return Broadcast(*static_cast<const zp_mul_params *>(params)).is_simple(); }

}  // namespace zp
