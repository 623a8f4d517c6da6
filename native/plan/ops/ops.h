// The operations that the planner knows: a name and the function that checks a step and fills in its parameters.
#ifndef ZP_PLAN_OPS_OPS_H
#define ZP_PLAN_OPS_OPS_H

#include <string>

#include "../step.h"

namespace zp {

using PrepareFunction = void (*)(StepReader &step, Prepared &out);

// Throws PlanError where no operation has that name.
PrepareFunction find_operation(const std::string &op);

void prepare_conv_2d(StepReader &step, Prepared &out);
void prepare_depthwise_conv_2d(StepReader &step, Prepared &out);
void prepare_fully_connected(StepReader &step, Prepared &out);
void prepare_add(StepReader &step, Prepared &out);
void prepare_mul(StepReader &step, Prepared &out);
void prepare_pool_2d(StepReader &step, Prepared &out);
void prepare_reduce(StepReader &step, Prepared &out);
void prepare_table(StepReader &step, Prepared &out);
void prepare_softmax(StepReader &step, Prepared &out);
void prepare_strided_copy(StepReader &step, Prepared &out);
void prepare_pad(StepReader &step, Prepared &out);
void prepare_concatenation(StepReader &step, Prepared &out);
void prepare_resize_nearest_neighbor(StepReader &step, Prepared &out);
void prepare_resize_bilinear(StepReader &step, Prepared &out);
void prepare_add_s16(StepReader &step, Prepared &out);
void prepare_pool_2d_s16(StepReader &step, Prepared &out);
void prepare_batch_matmul_s16(StepReader &step, Prepared &out);
void prepare_conv_2d_s16(StepReader &step, Prepared &out);
void prepare_depthwise_conv_2d_s16(StepReader &step, Prepared &out);
void prepare_extremum_s16(StepReader &step, Prepared &out);
void prepare_fully_connected_s16(StepReader &step, Prepared &out);
void prepare_interpolate_s16(StepReader &step, Prepared &out);
void prepare_sigmoid_s16(StepReader &step, Prepared &out);
void prepare_mul_s16(StepReader &step, Prepared &out);
void prepare_reduce_s16(StepReader &step, Prepared &out);
void prepare_rescale_s16(StepReader &step, Prepared &out);
void prepare_resize_bilinear_s16(StepReader &step, Prepared &out);
void prepare_resize_nearest_neighbor_s16(StepReader &step, Prepared &out);
void prepare_softmax_s16(StepReader &step, Prepared &out);
void prepare_arg_extremum(StepReader &step, Prepared &out);
void prepare_gather(StepReader &step, Prepared &out);
void prepare_gather_nd(StepReader &step, Prepared &out);
void prepare_cast(StepReader &step, Prepared &out);
void prepare_compare(StepReader &step, Prepared &out);
void prepare_select(StepReader &step, Prepared &out);
void prepare_integer_arithmetic(StepReader &step, Prepared &out);
void prepare_batch_matmul(StepReader &step, Prepared &out);
void prepare_squared_difference(StepReader &step, Prepared &out);
void prepare_prelu(StepReader &step, Prepared &out);
void prepare_l2_normalization(StepReader &step, Prepared &out);
void prepare_log_softmax(StepReader &step, Prepared &out);
void prepare_top_k(StepReader &step, Prepared &out);
void prepare_svdf(StepReader &step, Prepared &out);
void prepare_lstm(StepReader &step, Prepared &out);

}  // namespace zp
#endif
