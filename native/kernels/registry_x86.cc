// The fast kernels for x86-64, a line each.
#include "add/add.h"
#include "depthwise_conv_2d/depthwise_conv_2d.h"
#include "depthwise_conv_2d/pairs.h"
#include "matmul/matmul.h"
#include "pool_2d/pool_2d.h"
#include "registry.h"

namespace zp {

void add_x86_records(std::vector<KernelRecord> &r) {
    r.push_back({"conv_2d", "s8", Isa::avx512vnni, "conv_2d_s8_avx512vnni", zp_conv_2d_s8_avx512vnni, zp_conv_2d_matmul_accepts,
                 zp_conv_2d_matmul_packed_bytes, zp_conv_2d_matmul_pack, zp_conv_2d_matmul_scratch_bytes, zp_conv_2d_matmul_units});
    r.push_back({"fully_connected", "s8", Isa::avx512vnni, "fully_connected_s8_avx512vnni", zp_fully_connected_s8_avx512vnni,
                 zp_fully_connected_matmul_accepts, zp_fully_connected_matmul_packed_bytes, zp_fully_connected_matmul_pack,
                 zp_fully_connected_matmul_scratch_bytes, zp_fully_connected_matmul_units});
    r.push_back({"depthwise_conv_2d", "s8", Isa::avx512vnni, "depthwise_conv_2d_s8_avx512vnni", zp_depthwise_conv_2d_s8_avx512vnni,
                 zp_depthwise_conv_2d_accepts, zp_depthwise_conv_2d_packed_bytes, zp_depthwise_conv_2d_pack,
                 zp_depthwise_conv_2d_scratch_bytes, nullptr});
    r.push_back({"depthwise_conv_2d", "s8", Isa::avx2, "depthwise_conv_2d_s8_avx2", zp_depthwise_conv_2d_s8_avx2,
                 zp_depthwise_conv_2d_pairs_accepts, zp_depthwise_conv_2d_pairs_packed_bytes, zp_depthwise_conv_2d_pairs_pack,
                 zp_depthwise_conv_2d_pairs_scratch_bytes, zp_depthwise_conv_2d_pairs_units});
    r.push_back({"depthwise_conv_2d", "s8", Isa::avxvnni, "depthwise_conv_2d_s8_avxvnni", zp_depthwise_conv_2d_s8_avxvnni,
                 zp_depthwise_conv_2d_pairs_accepts, zp_depthwise_conv_2d_pairs_packed_bytes, zp_depthwise_conv_2d_pairs_pack,
                 zp_depthwise_conv_2d_pairs_scratch_bytes, zp_depthwise_conv_2d_pairs_units});
    r.push_back({"add", "s8", Isa::avx512vnni, "add_s8_avx512vnni", zp_add_s8_avx512vnni, zp_add_accepts});
    r.push_back({"average_pool_2d", "s8", Isa::avx512vnni, "average_pool_2d_s8_avx512vnni", zp_average_pool_2d_s8_avx512vnni});
    r.push_back({"max_pool_2d", "s8", Isa::avx512vnni, "max_pool_2d_s8_avx512vnni", zp_max_pool_2d_s8_avx512vnni});
}

}  // namespace zp
