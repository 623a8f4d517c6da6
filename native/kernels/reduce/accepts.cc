#include "reduce.h"

namespace zp {

bool zp_reduce_accepts(const void *params) {
    const Reduction r(*static_cast<const zp_reduce_params *>(params));
    return r.side_by_side() || r.along();
}

}  // namespace zp
