#include "ops.h"

namespace zp {

void prepare_table(StepReader &step, Prepared &out) {
    step.expect_operands(1, 1, 1);
    step.expect_int8(1);
    auto &p = out.params.make<zp_table_params>();
    p.count = step.dimension("count");
    p.channels = step.dimension("channels");
    step.require(p.count % p.channels == 0, "channels", "has to divide count");
    step.require(p.count == elements(step.input(0)), "count", "is not the size of the input");
    step.require(p.count == elements(step.output(0)), "count", "is not the size of the output");
    const std::vector<std::int32_t> codes = step.array("table", product({p.channels, 256}), -128, 127);
    p.table = out.params.keep_bytes(std::vector<std::int8_t>(codes.begin(), codes.end()));
    out.units = p.count;
    out.work = out.units * 2;
    out.in_order[0] = true;
}

}  // namespace zp
