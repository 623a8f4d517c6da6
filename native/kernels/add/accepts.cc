#include "add.h"

namespace zp {

bool zp_add_accepts(const void *params) {
    const auto &p = *static_cast<const zp_add_params *>(params);
    int64_t stride = 1;
    for (int32_t d = p.rank - 1; d >= 0; --d) {
        // The stride of a dimension of size 1 is never used.
        if (p.shape[d] != 1 && (p.stride1[d] != stride || p.stride2[d] != stride)) return false;
        stride *= p.shape[d];
    }
    return true;
}

}  // namespace zp
