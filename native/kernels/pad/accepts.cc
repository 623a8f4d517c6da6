#include "pad.h"

namespace zp {

bool zp_pad_accepts(const void *params) {
    const auto &p = *static_cast<const zp_pad_params *>(params);
    return p.rank >= 1 && (p.element_size == 1 || p.value == 0 || p.value == -1);
}

}  // namespace zp
