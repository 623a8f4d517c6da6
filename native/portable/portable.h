/* Every portable kernel, in one include. Start reading with kernel.h (what a kernel is), params.h (what each is told)
 * and fixedpoint.h (how each one rounds). */
#ifndef ZP_PORTABLE_PORTABLE_H
#define ZP_PORTABLE_PORTABLE_H

#include "add.h"
#include "arg_extremum.h"
#include "average_pool_2d.h"
#include "batch_matmul.h"
#include "cast.h"
#include "compare.h"
#include "concatenation.h"
#include "conv_2d.h"
#include "depthwise_conv_2d.h"
#include "fully_connected.h"
#include "gather.h"
#include "gather_nd.h"
#include "integer_arithmetic.h"
#include "kernel.h"
#include "l2_normalization.h"
#include "log_softmax.h"
#include "lstm.h"
#include "max_pool_2d.h"
#include "mul.h"
#include "pad.h"
#include "params.h"
#include "prelu.h"
#include "reduce.h"
#include "resize_bilinear.h"
#include "resize_nearest_neighbor.h"
#include "select.h"
#include "softmax.h"
#include "squared_difference.h"
#include "strided_copy.h"
#include "svdf.h"
#include "table.h"
#include "top_k.h"

#endif
