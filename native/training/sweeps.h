/* The sweeps over memory that quantization-aware training is made of, once per instruction set.
 *
 * Training is bound by memory, so what counts is how often a tensor is passed over. Everything done to one element
 * between two convolutions is therefore done in one visit: normalise, clamp, quantize, dequantize, remember in one bit
 * whether the clamp acted.
 *
 * A tensor is a number of RUNS of equal length, contiguous in memory:
 *   planes (NCHW):         one run per image and channel; what belongs to a channel is constant along a run;
 *   rows (channels last):  one run per pixel; element i of a run is channel i.
 * A clamp's mask has one bit per element; each run's bits start at a whole 16-bit word (zp_mask_stride).
 *
 * All sweeps compute the same bits on every instruction set, sums excepted (their order differs). */
#ifndef ZP_TRAINING_SWEEPS_H
#define ZP_TRAINING_SWEEPS_H

#include <stdint.h>

/* What happens to one value y: c = clamp(y, low, high); if quantize: scale * clamp(round(c / scale), first, last). */
struct zp_quantizer {
    float low, high;   /* the activation; infinite where open */
    float scale;       /* S */
    float first, last; /* qmin - Z and qmax - Z */
    bool quantize;     /* false while the delay lasts */
};

struct zp_extremes {
    float low, high;
    bool finite;
};

struct zp_moments {
    double sum, squares; /* of x - shift */
    float low, high;     /* of x */
};

inline int64_t zp_mask_stride(int64_t length) { return (length + 15) / 16 * 2; }

struct zp_sweeps {
    const char *isa;

    /* extremes of x[n] */
    zp_extremes (*extremes)(const float *x, int64_t n);
    /* out = a + b, and its extremes; out may be a or b */
    zp_extremes (*add)(const float *a, const float *b, float *out, int64_t n);
    /* moments of one plane; of rows, per channel, accumulated into sum, squares, low, high */
    zp_moments (*moments_plane)(const float *x, int64_t n, float shift);
    void (*moments_rows)(const float *x, int64_t rows, int64_t channels, const float *shift, double *sum,
                         double *squares, float *low, float *high);

    /* out = quantizer(x * gain + offset); gain NULL: out = quantizer(x); mask NULL: no clamp to remember.
     * out may be x. In a plane, gain[0] and offset[0] hold for all of it. */
    void (*quantize_plane)(const float *x, float *out, int64_t n, const float *gain, const float *offset,
                           const zp_quantizer *q, uint8_t *mask);
    void (*quantize_rows)(const float *x, float *out, int64_t rows, int64_t channels, const float *gain,
                          const float *offset, const zp_quantizer *q, uint8_t *mask);

    /* out = g where the mask (NULL: all ones) has a bit, else 0 (out NULL: not written); adds the sum(s) of that */
    void (*mask_plane)(const float *g, float *out, int64_t n, const uint8_t *mask, double *sum);
    void (*mask_rows)(const float *g, float *out, int64_t rows, int64_t channels, const uint8_t *mask, double *sum);

    /* backward of batch norm, first visit: sums of m and of m * (s - mean), m the masked gradient */
    void (*norm_sums_plane)(const float *g, const float *s, int64_t n, const uint8_t *mask, float mean, double *sum,
                            double *product);
    void (*norm_sums_rows)(const float *g, const float *s, int64_t rows, int64_t channels, const uint8_t *mask,
                           const float *mean, double *sum, double *product);
    /* second visit: out = m * gain + (s - mean) * slope + offset */
    void (*norm_gradient_plane)(const float *g, const float *s, float *out, int64_t n, const uint8_t *mask,
                                const float *mean, const float *gain, const float *slope, const float *offset);
    void (*norm_gradient_rows)(const float *g, const float *s, float *out, int64_t rows, int64_t channels,
                               const uint8_t *mask, const float *mean, const float *gain, const float *slope,
                               const float *offset);

    /* weights of one output channel: extremes of w * gain; out = scale * clamp(round(w * gain / scale), first, last),
     * divided by gain again where undo (unless gain is too small: then out = w) */
    zp_extremes (*weight_extremes)(const float *w, int64_t n, float gain);
    void (*weight_quantize)(const float *w, float *out, int64_t n, float gain, const zp_quantizer *q, bool undo);
    /* out = g * gain; returns the sum of g * w */
    double (*weight_gradient)(const float *g, const float *w, float *out, int64_t n, float gain);
};

extern const zp_sweeps zp_sweeps_plain;
#if defined(ZP_HAVE_X86)
extern const zp_sweeps zp_sweeps_avx2;
extern const zp_sweeps zp_sweeps_avx512;
#endif

#endif
