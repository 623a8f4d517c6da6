/* Every portable kernel, in one include. Start reading with kernel.h (what a kernel is), params.h (what each is told)
 * and fixedpoint.h (how each one rounds). */
#ifndef ZP_PORTABLE_PORTABLE_H
#define ZP_PORTABLE_PORTABLE_H

#include "add.h"
#include "average_pool_2d.h"
#include "concatenation.h"
#include "conv_2d.h"
#include "depthwise_conv_2d.h"
#include "fully_connected.h"
#include "kernel.h"
#include "max_pool_2d.h"
#include "mul.h"
#include "pad.h"
#include "params.h"
#include "reduce.h"
#include "resize_bilinear.h"
#include "resize_nearest_neighbor.h"
#include "softmax.h"
#include "strided_copy.h"
#include "table.h"

#include "add_s16.h"
#include "average_pool_2d_s16.h"
#include "batch_matmul_s16.h"
#include "conv_2d_s16.h"
#include "depthwise_conv_2d_s16.h"
#include "extremum_s16.h"
#include "fully_connected_s16.h"
#include "interpolate_s16.h"
#include "logistic_s16.h"
#include "max_pool_2d_s16.h"
#include "mul_s16.h"
#include "reduce_s16.h"
#include "rescale_s16.h"
#include "resize_bilinear_s16.h"
#include "resize_nearest_neighbor_s16.h"
#include "softmax_s16.h"
#include "tanh_s16.h"

#endif
