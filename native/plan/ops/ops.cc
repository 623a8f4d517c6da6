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
    {"add_s16", prepare_add_s16},
    {"average_pool_2d_s16", prepare_pool_2d_s16},
    {"batch_matmul_s16", prepare_batch_matmul_s16},
    {"conv_2d_s16", prepare_conv_2d_s16},
    {"depthwise_conv_2d_s16", prepare_depthwise_conv_2d_s16},
    {"extremum_s16", prepare_extremum_s16},
    {"fully_connected_s16", prepare_fully_connected_s16},
    {"interpolate_s16", prepare_interpolate_s16},
    {"logistic_s16", prepare_sigmoid_s16},
    {"max_pool_2d_s16", prepare_pool_2d_s16},
    {"mul_s16", prepare_mul_s16},
    {"reduce_s16", prepare_reduce_s16},
    {"rescale_s16", prepare_rescale_s16},
    {"resize_bilinear_s16", prepare_resize_bilinear_s16},
    {"resize_nearest_neighbor_s16", prepare_resize_nearest_neighbor_s16},
    {"softmax_s16", prepare_softmax_s16},
    {"tanh_s16", prepare_sigmoid_s16},
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
