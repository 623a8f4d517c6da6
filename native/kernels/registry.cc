#include "registry.h"

#include "portable_kernels.h"

namespace zp {

static std::vector<KernelRecord> make_records() {
    std::vector<KernelRecord> r;
#define ZP_PORTABLE(op) \
    r.push_back({#op, "s8", Isa::portable, #op "_s8_portable", zp_##op##_s8_portable});
    ZP_PORTABLE_OPS(ZP_PORTABLE)
#undef ZP_PORTABLE
#define ZP_PORTABLE(op) \
    r.push_back({#op "_s16", "s16", Isa::portable, #op "_s16_portable", zp_##op##_s16_portable});
    ZP_PORTABLE_OPS_S16(ZP_PORTABLE)
#undef ZP_PORTABLE
    for (KernelRecord &record : r)  // an element is read, then the one of its index written
        for (const char *op : {"add", "mul", "table"}) record.in_place |= record.op == std::string(op);
#ifdef ZP_HAVE_X86_KERNELS
    add_x86_records(r);
#endif
#ifdef ZP_HAVE_ARM_KERNELS
    add_arm_records(r);
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
