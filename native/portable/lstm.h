#ifndef ZP_PORTABLE_LSTM_H
#define ZP_PORTABLE_LSTM_H

#include "kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A sequence through an LSTM. in: 24 tensors as for TFLite; out: y, states, scratch. params: zp_lstm_params. */
void zp_lstm_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
