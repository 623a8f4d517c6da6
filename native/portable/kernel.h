/* What every kernel of the engine looks like, portable or fast.
 *
 * The engine computes on one 8-bit type only: int8. A uint8 tensor is the same numbers shifted by
 * 128 (q - Z does not change when both move), so planning rewrites uint8 networks once and flips the top bit
 * at the network's edges. That leaves one readable kernel per operation instead of two.
 *
 * A kernel is a pure function of its parameters and buffers. `begin`..`end` is the range of work
 * units it is to compute; what a unit is (an output row, a batch row, an element block) stands in each
 * parameter struct's comment. Units are independent, so any split over threads gives the same integers. */
#ifndef ZP_PORTABLE_KERNEL_H
#define ZP_PORTABLE_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { ZP_MAX_RANK = 8 };

typedef struct {
    const void *const *in; /* one pointer per input, constants included, NULL for an absent one */
    void *const *out;      /* one pointer per output */
    void *scratch;         /* per-thread, of the size that the kernel asked for, 64-byte aligned */
} zp_buffers;

typedef void (*zp_kernel_fn)(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
