/* An LSTM in integers: int8 in, out and recurrent state, int16 cell state and gates. One step, per cell:
 *   gate = M_x (bias + sum w (x - Zx)) + M_h sum r (h - Zh) [+ M_c peephole c], saturated to 16 bits after each term,
 *          Q3; [layer normalisation]; then sigmoid, or tanh for the cell gate, to Q0
 *   c' = forget c + input cell                          [clipped]; input = 1 - forget where there is no input gate
 *   h' = Zh + M (output tanh(c')), or the projection of it: Zh + M_p (bias + sum p (hidden + Z_hidden)) [clipped]
 * With layer normalisation the bias is added by it, and the first sum has none. */
#include "lstm.h"

#include <stddef.h>
#include <string.h>

#include "fixedpoint.h"
#include "fixedpoint16.h"
#include "inner.h"
#include "inverse_sqrt.h"
#include "params.h"

enum { INPUT, FORGET, CELL, OUTPUT, GATES };

/* Positions among the 24 inputs. */
enum { WEIGHTS = 1, RECURRENT = 5, PEEPHOLE = 9, BIAS = 12, PROJECTION = 16, PROJECTION_BIAS = 17, STATE = 18,
       CELL_STATE = 19, NORM = 20 };

static const int16_t *peephole_of(const zp_buffers *buffers, int32_t gate) {
    if (gate == CELL) return NULL;
    return buffers->in[PEEPHOLE + (gate == OUTPUT ? 2 : gate)];
}

static void layer_norm(const zp_lstm_params *p, int32_t gate, const int16_t *weight, const int32_t *bias, int16_t *x) {
    int64_t sum = 0, squares = 0;
    for (int32_t i = 0; i < p->cells; ++i) {
        sum += x[i];
        squares += (int32_t)x[i] * x[i];
    }
    const int32_t mean = (int32_t)(sum * 1024 / p->cells);
    const int64_t variance = squares * ((1 << 20) / p->cells) - (int64_t)mean * mean;
    const int32_t spread = (int32_t)(variance / (1 << 20));
    const zp_scale_pair scale = zp_inverse_sqrt(spread < 1 ? p->variance_guard[gate] : spread);
    for (int32_t i = 0; i < p->cells; ++i) {
        const int32_t normed = zp_multiply_by_quantized_multiplier(1024 * x[i] - mean, scale.multiplier, scale.shift);
        const int64_t value = zp_int32_from_bits((uint32_t)normed * (uint32_t)(int32_t)weight[i] + (uint32_t)bias[i]);
        const int32_t rounded = (int32_t)((value > 0 ? value + 512 : value - 512) / 1024);
        x[i] = zp_saturate16(zp_multiply_by_quantized_multiplier(rounded, p->norm_multiplier[gate], p->norm_shift[gate]));
    }
}

static void compute_gate(const zp_lstm_params *p, const zp_buffers *buffers, int32_t gate, const int8_t *x, const int8_t *h,
                         const int16_t *c, int16_t *out) {
    const int8_t *w = buffers->in[WEIGHTS + gate], *r = buffers->in[RECURRENT + gate];
    const int32_t *bias = buffers->in[BIAS + gate];
    const int16_t *peephole = peephole_of(buffers, gate), *norm = buffers->in[NORM + gate];
    for (int32_t i = 0; i < p->cells; ++i) {
        uint32_t sum = zp_dot(x, w + (ptrdiff_t)i * p->in_features, p->in_features, (int16_t)p->input_zero_point, 0);
        if (norm == NULL) sum += (uint32_t)bias[i];
        int32_t value = zp_multiply_by_quantized_multiplier(zp_int32_from_bits(sum), p->input_multiplier[gate],
                                                            p->input_shift[gate]);
        value = zp_saturate16(value);
        sum = zp_dot(h, r + (ptrdiff_t)i * p->outputs, p->outputs, (int16_t)p->output_zero_point, 0);
        value = zp_saturate16(zp_add_wrapping(value, zp_multiply_by_quantized_multiplier(
            zp_int32_from_bits(sum), p->recurrent_multiplier[gate], p->recurrent_shift[gate])));
        if (peephole != NULL)
            value = zp_saturate16(zp_add_wrapping(value, zp_multiply_by_quantized_multiplier(
                (int32_t)peephole[i] * c[i], p->peephole_multiplier[gate], p->peephole_shift[gate])));
        out[i] = (int16_t)value;
    }
    if (norm != NULL) layer_norm(p, gate, norm, bias, out);
    for (int32_t i = 0; i < p->cells; ++i) out[i] = gate == CELL ? zp_tanh16(out[i], 3) : zp_logistic16(out[i]);
}

static void update_cell(const zp_lstm_params *p, const int16_t *input, const int16_t *forget, const int16_t *cell,
                        int16_t *c) {
    for (int32_t i = 0; i < p->cells; ++i) {
        const int32_t kept = zp_rounding_divide_by_pot((int32_t)forget[i] * c[i], 15);
        const int32_t open = input != NULL ? input[i] : INT16_MAX - forget[i];
        const int32_t added = zp_rounding_divide_by_pot(open * cell[i], 30 + p->cell_exponent);
        const int32_t sum = zp_saturate16(zp_wrap16(kept) + zp_wrap16(added));
        c[i] = (int16_t)(p->cell_clip > 0 ? zp_clamp(sum, -p->cell_clip, p->cell_clip) : sum);
    }
}

/* The new state h from cell and output gate; `hidden` has room for the cells' codes. */
static void read_out(const zp_lstm_params *p, const zp_buffers *buffers, const int16_t *gate, const int16_t *c, int8_t *hidden,
                     int8_t *h) {
    const int8_t *projection = buffers->in[PROJECTION];
    const int32_t *bias = buffers->in[PROJECTION_BIAS];
    int8_t *to = projection != NULL ? hidden : h;
    const int32_t offset = projection != NULL ? -p->hidden_zero_point : p->hidden_zero_point;
    for (int32_t i = 0; i < p->cells; ++i) {
        const int32_t product = (int32_t)gate[i] * zp_tanh16(c[i], 15 + p->cell_exponent);
        to[i] = zp_requantize(product, p->hidden_multiplier, p->hidden_shift, offset, -128, 127);
    }
    if (projection == NULL) return;
    for (int32_t o = 0; o < p->outputs; ++o) {
        uint32_t sum = zp_dot(hidden, projection + (ptrdiff_t)o * p->cells, p->cells, (int16_t)-p->hidden_zero_point, 0);
        if (bias != NULL) sum += (uint32_t)bias[o];
        const int32_t limit = p->projection_clip;
        const int32_t code = zp_requantize(zp_int32_from_bits(sum), p->projection_multiplier, p->projection_shift,
                                           p->output_zero_point, -128, 127);
        h[o] = (int8_t)(limit > 0 ? zp_clamp(code, -limit, limit) : code);
    }
}

void zp_lstm_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_lstm_params *p = params;
    const size_t cells = (size_t)p->cells, outputs = (size_t)p->outputs;
    for (int32_t b = begin; b < end; ++b) {
        int8_t *h = (int8_t *)buffers->out[1] + (ptrdiff_t)b * p->outputs;
        int16_t *c = (int16_t *)buffers->out[2] + (ptrdiff_t)b * p->cells;
        int16_t *gates = (int16_t *)buffers->out[3] + (ptrdiff_t)b * GATES * p->cells;
        int16_t *gate[GATES];
        for (int32_t g = 0; g < GATES; ++g) gate[g] = gates + (size_t)g * cells;
        memcpy(h, (const int8_t *)buffers->in[STATE] + (ptrdiff_t)b * p->outputs, outputs);
        memcpy(c, (const int16_t *)buffers->in[CELL_STATE] + (ptrdiff_t)b * p->cells, cells * sizeof *c);
        const int coupled = buffers->in[WEIGHTS] == NULL;
        if (coupled) memset(gate[INPUT], 0, cells * sizeof *c);
        for (int32_t t = 0; t < p->time; ++t) {
            const ptrdiff_t vector = (ptrdiff_t)b * p->batch_stride + (ptrdiff_t)t * p->time_stride;
            const int8_t *x = (const int8_t *)buffers->in[0] + vector * p->in_features;
            if (!coupled) compute_gate(p, buffers, INPUT, x, h, c, gate[INPUT]);
            compute_gate(p, buffers, FORGET, x, h, c, gate[FORGET]);
            compute_gate(p, buffers, CELL, x, h, c, gate[CELL]);
            update_cell(p, coupled ? NULL : gate[INPUT], gate[FORGET], gate[CELL], c);
            compute_gate(p, buffers, OUTPUT, x, h, c, gate[OUTPUT]);
            read_out(p, buffers, gate[OUTPUT], c, (int8_t *)gate[FORGET], h);
            memcpy((int8_t *)buffers->out[0] + vector * p->outputs, h, outputs);
        }
    }
}
