/* One training layer's work between its convolutions, from the sweeps: split over threads, reduced, in one call each.
 *
 * Everything here is float and belongs to training alone; the engine that runs integer networks never loads it.
 * Sums are formed in pieces of a size that does not depend on the number of threads and added in order, so a
 * training run gives the same bits with any number of them. */
#ifndef ZP_TRAINING_H
#define ZP_TRAINING_H

#include <stdint.h>

#include "sweeps.h"

/* The sweeps in use: the best that this CPU has, or the one chosen by zp_training_use. */
const zp_sweeps *zp_training_sweeps();
/* Takes the sweeps of that name; false if they are unknown, not built or not supported here. */
bool zp_training_use(const char *isa);

/* (outer, channels, inner): NCHW planes where inner > 1, rows of channels where inner = 1. */
struct zp_shape {
    int64_t outer, channels, inner;
    bool rows() const { return inner == 1; }
    int64_t runs() const { return rows() ? outer : outer * channels; }
    int64_t length() const { return rows() ? channels : inner; }
    int64_t size() const { return outer * channels * inner; }
};

/* A learned range (zeropoint.qat.ranges.Range): T1-T4. */
struct zp_range {
    float *minimum, *maximum;
    int64_t *steps;
    double momentum;
    int64_t delay;
    bool frozen, fixed, is_signed;
    int bits;
};

/* Batch norm's tensors; each may be null: gamma 1, beta and bias 0, mean null: there is no batch norm. */
struct zp_norm {
    const float *gamma, *beta, *bias; /* bias: the convolution's own */
    float *mean, *var;
    double eps;
};

/* Per channel, of one batch: mean, biased variance, smallest, largest. */
struct zp_batch {
    float *mean, *var, *low, *high;
};

zp_extremes zp_extremes_of(const float *x, int64_t n, int threads);

/* Statistics of x into batch; false where x is not finite. */
bool zp_moments_of(const float *x, zp_shape shape, zp_batch batch, int threads);

/* T6 b: averages take the batch in; `share` of the new value, variance unbiased over `count` values. */
void zp_track(const zp_norm &norm, zp_batch batch, int64_t channels, int64_t count, double share);

/* What is done with the extremes of an activation: nothing, refuse those that are not finite, or observe them too. */
enum zp_look { ZP_IGNORE, ZP_CHECK, ZP_OBSERVE };

/* Clamp, observe (T1), quantize (T5), in place or not. `training`: the range's delay counts. Nothing is written if
 * the extremes returned are not finite. */
zp_extremes zp_activate(const float *x, float *out, zp_shape shape, float low, float high, const zp_range &range,
                        zp_look look, bool training, uint8_t *mask, int threads);
/* out = a + b, then the same in place. */
zp_extremes zp_add_activate(const float *a, const float *b, float *out, zp_shape shape, float low, float high,
                            const zp_range &range, zp_look look, bool training, uint8_t *mask, int threads);
/* Batch norm with the batch's statistics, then the same: y = gamma (s - mean) / sqrt(var + eps) + beta. `rstd`,
 * `gain`, (channels): kept for backward. The extremes of y follow from each channel's, without another sweep. */
zp_extremes zp_norm_activate(const float *s, float *out, zp_shape shape, const zp_norm &norm, zp_batch batch,
                             float *rstd, float *gain, float low, float high, const zp_range &range, zp_look look,
                             bool training, uint8_t *mask, int threads);

/* Weights (channels, each): gain = gamma / sqrt(var + eps), folded and quantized (T6 c, d), divided by gain again where
 * undo; centre = bias - mean, shift = beta + centre gain. `out` may not be w. Returns the extremes of the folded weights;
 * nothing is written to out if they are not finite. */
zp_extremes zp_fold(const float *w, float *out, int64_t channels, int64_t each, const zp_norm &norm, int bits,
                    bool per_channel, bool undo, float *rstd, float *gain, float *shift, float *centre, int threads);
/* Backward of zp_fold, straight through the quantization: from the gradients of the folded weights and of shift.
 * gamma_gradient may be null, out may be g. */
void zp_fold_backward(const float *g, const float *w, float *out, int64_t channels, int64_t each, const float *rstd,
                      const float *gain, const float *centre, const float *shift_gradient, float *gamma_gradient,
                      int threads);

/* out = g where the clamp did not act (out may be null), and its sum per channel (sum may be null). */
void zp_mask_backward(const float *g, float *out, zp_shape shape, const uint8_t *mask, float *sum, int threads);
/* Backward of zp_norm_activate: the sums of m and of m (s - mean); then the gradient of s from the sums over `count`. */
void zp_norm_sums(const float *g, const float *s, zp_shape shape, const uint8_t *mask, const float *mean, float *sum,
                  float *product, int threads);
void zp_norm_gradient(const float *g, const float *s, float *out, zp_shape shape, const uint8_t *mask,
                      const float *mean, const float *rstd, const float *gain, const float *sum, const float *product,
                      int64_t count, int threads);

#endif
