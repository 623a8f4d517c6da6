#include "registry.h"

#include "../portable/params.h"
#include "portable_kernels.h"
#ifdef ZP_HAVE_AVX512VNNI
#include "add/add.h"
#include "depthwise_conv_2d/depthwise_conv_2d.h"
#include "matmul/matmul.h"
#include "pool_2d/pool_2d.h"
#endif

namespace zp {

static std::vector<KernelRecord> make_records() {
    std::vector<KernelRecord> r;
#define ZP_PORTABLE(op) \
    r.push_back({#op, "s8", Isa::portable, #op "_s8_portable", zp_##op##_s8_portable});
    ZP_PORTABLE_OPS(ZP_PORTABLE)
#undef ZP_PORTABLE
#ifdef ZP_HAVE_AVX512VNNI
    r.push_back({"conv_2d", "s8", Isa::avx512vnni, "conv_2d_s8_avx512vnni", zp_conv_2d_s8_avx512vnni, zp_conv_2d_matmul_accepts,
                 zp_conv_2d_matmul_packed_bytes, zp_conv_2d_matmul_pack, zp_conv_2d_matmul_scratch_bytes, zp_conv_2d_matmul_units});
    r.push_back({"fully_connected", "s8", Isa::avx512vnni, "fully_connected_s8_avx512vnni", zp_fully_connected_s8_avx512vnni,
                 zp_fully_connected_matmul_accepts, zp_fully_connected_matmul_packed_bytes, zp_fully_connected_matmul_pack,
                 zp_fully_connected_matmul_scratch_bytes, zp_fully_connected_matmul_units});
    r.push_back({"depthwise_conv_2d", "s8", Isa::avx512vnni, "depthwise_conv_2d_s8_avx512vnni", zp_depthwise_conv_2d_s8_avx512vnni,
                 zp_depthwise_conv_2d_accepts, zp_depthwise_conv_2d_packed_bytes, zp_depthwise_conv_2d_pack,
                 zp_depthwise_conv_2d_scratch_bytes, nullptr});
    r.push_back({"add", "s8", Isa::avx512vnni, "add_s8_avx512vnni", zp_add_s8_avx512vnni, zp_add_accepts});
    r.push_back({"average_pool_2d", "s8", Isa::avx512vnni, "average_pool_2d_s8_avx512vnni", zp_average_pool_2d_s8_avx512vnni});
    r.push_back({"max_pool_2d", "s8", Isa::avx512vnni, "max_pool_2d_s8_avx512vnni", zp_max_pool_2d_s8_avx512vnni});
#endif
    return r;
}

const std::vector<KernelRecord> &kernel_records() {
    static const std::vector<KernelRecord> records = make_records();
    return records;
}

const KernelRecord *choose_kernel(const std::vector<KernelRecord> &records, const std::string &op, const void *params,
                                  bool constant_operands, Isa bound, std::uint32_t cpu_features) {
    const KernelRecord *best = nullptr;
    for (const KernelRecord &record : records) {
        if (op != record.op || record.isa > bound) continue;
        if ((record.cpu_features() & ~cpu_features) != 0) continue;
        if (record.pack != nullptr && !constant_operands) continue;
        if (record.accepts != nullptr && !record.accepts(params)) continue;
        if (best == nullptr || record.isa > best->isa) best = &record;
    }
    return best;
}

}  // namespace zp
