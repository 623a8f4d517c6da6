#include "../broadcast.h"
#include "add.h"

namespace zp {

bool zp_add_accepts(const void *params) { return Broadcast(*static_cast<const zp_add_params *>(params)).is_simple(); }

}  // namespace zp
