#include "table.h"

namespace zp {

bool zp_table_accepts(const void *params) { return static_cast<const zp_table_params *>(params)->channels == 1; }

}  // namespace zp
