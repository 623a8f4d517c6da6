#include "ops.h"

#include "../error.h"

namespace zp {

struct Operation {
    const char *name;
    PrepareFunction prepare;
};

static const Operation kOperations[] = {
    {"conv_2d", prepare_conv_2d},
    {"depthwise_conv_2d", prepare_depthwise_conv_2d},
    {"fully_connected", prepare_fully_connected},
    {"add", prepare_add},
    {"mul", prepare_mul},
    {"average_pool_2d", prepare_pool_2d},
    {"max_pool_2d", prepare_pool_2d},
    {"reduce", prepare_reduce},
    {"table", prepare_table},
    {"softmax", prepare_softmax},
    {"strided_copy", prepare_strided_copy},
    {"pad", prepare_pad},
    {"concatenation", prepare_concatenation},
    {"resize_nearest_neighbor", prepare_resize_nearest_neighbor},
    {"resize_bilinear", prepare_resize_bilinear},
    {"arg_extremum", prepare_arg_extremum},
    {"gather", prepare_gather},
    {"gather_nd", prepare_gather_nd},
    {"cast", prepare_cast},
    {"compare", prepare_compare},
    {"select", prepare_select},
    {"integer_arithmetic", prepare_integer_arithmetic},
    {"batch_matmul", prepare_batch_matmul},
    {"squared_difference", prepare_squared_difference},
    {"prelu", prepare_prelu},
    {"l2_normalization", prepare_l2_normalization},
    {"log_softmax", prepare_log_softmax},
    {"top_k", prepare_top_k},
    {"svdf", prepare_svdf},
    {"lstm", prepare_lstm},
};

PrepareFunction find_operation(const std::string &op) {
    std::string names;
    for (const Operation &operation : kOperations) {
        if (op == operation.name) return operation.prepare;
        names += std::string(names.empty() ? "" : ", ") + operation.name;
    }
    throw PlanError("unknown operation '" + op + "'; the engine runs: " + names);
}

}  // namespace zp
