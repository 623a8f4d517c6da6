// The operations that exist, by the names of their portable kernels, which define them.
#ifndef ZP_KERNELS_PORTABLE_KERNELS_H
#define ZP_KERNELS_PORTABLE_KERNELS_H

#include "../portable/portable.h"

#define ZP_PORTABLE_OPS(X)     \
    X(conv_2d)                 \
    X(depthwise_conv_2d)       \
    X(fully_connected)         \
    X(add)                     \
    X(mul)                     \
    X(average_pool_2d)         \
    X(max_pool_2d)             \
    X(reduce)                  \
    X(table)                   \
    X(softmax)                 \
    X(strided_copy)            \
    X(pad)                     \
    X(concatenation)           \
    X(resize_nearest_neighbor) \
    X(resize_bilinear)         \
    X(arg_extremum)            \
    X(gather)                  \
    X(gather_nd)               \
    X(cast)                    \
    X(compare)                 \
    X(select)                  \
    X(integer_arithmetic)      \
    X(batch_matmul)            \
    X(squared_difference)      \
    X(prelu)                   \
    X(l2_normalization)        \
    X(log_softmax)             \
    X(top_k)                   \
    X(svdf)                    \
    X(lstm)

// Those on 16-bit activations: operation <name>_s16, kernel zp_<name>_s16_portable.
#define ZP_PORTABLE_OPS_S16(X)  \
    X(add)                      \
    X(average_pool_2d)          \
    X(batch_matmul)             \
    X(conv_2d)                  \
    X(depthwise_conv_2d)        \
    X(extremum)                 \
    X(fully_connected)          \
    X(interpolate)              \
    X(logistic)                 \
    X(max_pool_2d)              \
    X(mul)                      \
    X(reduce)                   \
    X(rescale)                  \
    X(resize_bilinear)          \
    X(resize_nearest_neighbor)  \
    X(softmax)                  \
    X(tanh)

#endif
