// The fast kernels for x86-64, a line each.
#include "add/add.h"
#include "concatenation/concatenation.h"
#include "conv_2d_winograd/winograd.h"
#include "depthwise_conv_2d/quads.h"
#include "fully_connected_rows/rows.h"
#include "matmul/matmul.h"
#include "mul/mul.h"
#include "pad/pad.h"
#include "pool_2d/pool_2d.h"
#include "reduce/reduce.h"
#include "registry.h"
#include "resize_bilinear/resize_bilinear.h"
#include "resize_nearest_neighbor/resize_nearest_neighbor.h"
#include "softmax/softmax.h"
#include "strided_copy/strided_copy.h"
#include "table/table.h"

namespace zp {

void add_x86_records(std::vector<KernelRecord> &r) {
#define ZP_MATMUL(op, isa)                                                                                                          \
    r.push_back({#op, "s8", Isa::isa, #op "_s8_" #isa, zp_##op##_s8_##isa, zp_##op##_accepts_##isa, zp_##op##_packed_bytes_##isa,   \
                 zp_##op##_pack_##isa, zp_##op##_scratch_bytes_##isa, zp_##op##_units_##isa});
    // Before the direct one: among equals the first that accepts is chosen.
    r.push_back(shrinking({"conv_2d", "s8", Isa::avx2, "conv_2d_s8_avx2_winograd", zp_conv_2d_s8_avx2_winograd, zp_conv_2d_winograd_accepts,
                           zp_conv_2d_winograd_packed_bytes, zp_conv_2d_winograd_pack, zp_conv_2d_winograd_scratch_bytes,
                           zp_conv_2d_winograd_units},
                          zp_conv_2d_winograd_kept_bytes));
    // Few rows: before the matrix products, and four-bit weights before bytes.
#define ZP_ROWS(op, isa, form)                                                                                                      \
    r.push_back({#op, "s8", Isa::isa, #op "_s8_" #isa "_" #form, zp_##op##_s8_##isa##_##form, zp_##op##_##form##_accepts_##isa,     \
                 zp_##op##_##form##_packed_bytes_##isa, zp_##op##_##form##_pack_##isa, zp_##op##_rows_scratch_bytes_##isa,          \
                 zp_##op##_rows_units_##isa});
#define ZP_ROWS_OF(isa)                 \
    ZP_ROWS(conv_2d, isa, rows)         \
    ZP_ROWS(fully_connected, isa, rows_4bit) \
    ZP_ROWS(fully_connected, isa, rows)
    ZP_ROWS_OF(avx2)
    ZP_ROWS_OF(avxvnni)
    ZP_ROWS_OF(avx512vnni)
#undef ZP_ROWS_OF
#undef ZP_ROWS
    r.push_back(shrinking(tunable({"conv_2d", "s8", Isa::avx2, "conv_2d_s8_avx2", zp_conv_2d_s8_avx2, zp_conv_2d_accepts_avx2,
                         zp_conv_2d_packed_bytes_avx2, zp_conv_2d_pack_avx2, zp_conv_2d_scratch_bytes_avx2, zp_conv_2d_units_avx2},
                                  zp_conv_2d_pack_tuned_avx2),
                          zp_matmul_kept_bytes_avx2));
    ZP_MATMUL(conv_2d, avxvnni)
    ZP_MATMUL(conv_2d, avx512vnni)
    ZP_MATMUL(fully_connected, avx2)
    r.back() = shrinking(r.back(), zp_matmul_kept_bytes_avx2);
    ZP_MATMUL(fully_connected, avxvnni)
    ZP_MATMUL(fully_connected, avx512vnni)
#undef ZP_MATMUL
    r.push_back({"depthwise_conv_2d", "s8", Isa::avx512vnni, "depthwise_conv_2d_s8_avx512vnni", zp_depthwise_conv_2d_s8_avx512vnni,
                 zp_depthwise_conv_2d_pairs_accepts, zp_depthwise_conv_2d_quads_packed_bytes, zp_depthwise_conv_2d_quads_pack,
                 zp_depthwise_conv_2d_quads_scratch_bytes, zp_depthwise_conv_2d_pairs_units});
    r.push_back({"depthwise_conv_2d", "s8", Isa::avx2, "depthwise_conv_2d_s8_avx2", zp_depthwise_conv_2d_s8_avx2,
                 zp_depthwise_conv_2d_pairs_accepts, zp_depthwise_conv_2d_pairs_packed_bytes, zp_depthwise_conv_2d_pairs_pack,
                 zp_depthwise_conv_2d_pairs_scratch_bytes, zp_depthwise_conv_2d_pairs_units});
    r.push_back({"depthwise_conv_2d", "s8", Isa::avxvnni, "depthwise_conv_2d_s8_avxvnni", zp_depthwise_conv_2d_s8_avxvnni,
                 zp_depthwise_conv_2d_pairs_accepts, zp_depthwise_conv_2d_pairs_packed_bytes, zp_depthwise_conv_2d_pairs_pack,
                 zp_depthwise_conv_2d_pairs_scratch_bytes, zp_depthwise_conv_2d_pairs_units});
    r.push_back(in_place({"add", "s8", Isa::avx2, "add_s8_avx2", zp_add_s8_avx2, zp_add_accepts}));
    r.push_back(in_place({"add", "s8", Isa::avx512vnni, "add_s8_avx512vnni", zp_add_s8_avx512vnni, zp_add_accepts}));
    r.push_back(in_place({"mul", "s8", Isa::avx2, "mul_s8_avx2", zp_mul_s8_avx2, zp_mul_accepts}));
    r.push_back(in_place({"mul", "s8", Isa::avx512vnni, "mul_s8_avx512vnni", zp_mul_s8_avx512vnni, zp_mul_accepts}));
    r.push_back({"average_pool_2d", "s8", Isa::avx2, "average_pool_2d_s8_avx2", zp_average_pool_2d_s8_avx2, zp_pool_2d_accepts_avx2});
    r.push_back({"max_pool_2d", "s8", Isa::avx2, "max_pool_2d_s8_avx2", zp_max_pool_2d_s8_avx2, zp_pool_2d_accepts_avx2});
    r.push_back({"average_pool_2d", "s8", Isa::avx512vnni, "average_pool_2d_s8_avx512vnni", zp_average_pool_2d_s8_avx512vnni});
    r.push_back({"max_pool_2d", "s8", Isa::avx512vnni, "max_pool_2d_s8_avx512vnni", zp_max_pool_2d_s8_avx512vnni});
    r.push_back({"reduce", "s8", Isa::avx2, "reduce_s8_avx2", zp_reduce_s8_avx2, zp_reduce_accepts});
    r.push_back({"reduce", "s8", Isa::avx512vnni, "reduce_s8_avx512vnni", zp_reduce_s8_avx512vnni, zp_reduce_accepts});
    r.push_back(in_place({"table", "s8", Isa::avx2, "table_s8_avx2", zp_table_s8_avx2, zp_table_accepts}));
    r.push_back(in_place({"table", "s8", Isa::avx512vnni, "table_s8_avx512vnni", zp_table_s8_avx512vnni, zp_table_accepts}));
    r.push_back({"softmax", "s8", Isa::avx2, "softmax_s8_avx2", zp_softmax_s8_avx2, zp_softmax_accepts, zp_softmax_packed_bytes,
                 zp_softmax_pack, zp_softmax_scratch_bytes, nullptr});
    r.push_back({"softmax", "s8", Isa::avx512vnni, "softmax_s8_avx512vnni", zp_softmax_s8_avx512vnni, zp_softmax_accepts,
                 zp_softmax_packed_bytes, zp_softmax_pack, zp_softmax_scratch_bytes, nullptr});
    r.push_back({"strided_copy", "s8", Isa::avx2, "strided_copy_s8_avx2", zp_strided_copy_s8_avx2});
    r.push_back({"pad", "s8", Isa::avx2, "pad_s8_avx2", zp_pad_s8_avx2, zp_pad_accepts});
    r.push_back({"concatenation", "s8", Isa::avx2, "concatenation_s8_avx2", zp_concatenation_s8_avx2});
    r.push_back({"resize_nearest_neighbor", "s8", Isa::avx2, "resize_nearest_neighbor_s8_avx2", zp_resize_nearest_neighbor_s8_avx2});
    r.push_back({"resize_bilinear", "s8", Isa::avx2, "resize_bilinear_s8_avx2", zp_resize_bilinear_s8_avx2, zp_resize_bilinear_accepts});
}

}  // namespace zp
