// A 256-entry table for every element: sixteen rows of sixteen entries in registers, and a byte shuffle for each row. One table
// for all channels; one per channel stays with the portable kernel.
#ifndef ZP_KERNELS_TABLE_H
#define ZP_KERNELS_TABLE_H

#include <stdint.h>

#include "../../portable/params.h"

namespace zp {

bool zp_table_accepts(const void *params);
void zp_table_s8_avx2(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);
void zp_table_s8_avx512vnni(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

}  // namespace zp
#endif
