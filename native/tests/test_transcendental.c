/* The functions of fixedpoint16.h and inverse_sqrt.h against the C library: every 16-bit argument, and how far off they may
 * be. (That they are LiteRT's integers is shown by whole LSTMs; here it is shown that they are the functions they say.) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixedpoint16.h"
#include "inverse_sqrt.h"

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

/* Largest error over all arguments, in units of 2^-15; the values never step back where the function rises. */
static double worst_logistic(void) {
    double worst = 0;
    for (int32_t raw = INT16_MIN; raw <= INT16_MAX; ++raw) {
        const double exact = 1 / (1 + exp(-(double)raw / 4096)) * 32768;
        worst = fmax(worst, fabs(exact - zp_logistic16((int16_t)raw)));
        CHECK(zp_logistic16((int16_t)raw) >= 0);
    }
    return worst;
}

static double worst_tanh(int32_t integer_bits) {
    double worst = 0;
    for (int32_t raw = INT16_MIN; raw <= INT16_MAX; ++raw) {
        const double exact = tanh(ldexp((double)raw, integer_bits - 15)) * 32768;
        worst = fmax(worst, fabs(exact - zp_tanh16((int16_t)raw, integer_bits)));
        if (raw > INT16_MIN) CHECK(zp_tanh16((int16_t)raw, integer_bits) == -zp_tanh16((int16_t)-raw, integer_bits));
    }
    return worst;
}

static double worst_exp(int32_t integer_bits) {
    double worst = 0;
    for (int32_t raw = INT16_MIN; raw <= 0; ++raw) {
        const double exact = exp(ldexp((double)raw, integer_bits - 15)) * 32768;
        worst = fmax(worst, fabs(exact - zp_exp_of_negative16((int16_t)raw, integer_bits)));
    }
    return worst;
}

int main(void) {
    printf("logistic: off by at most %.2f of 2^15\n", worst_logistic());
    CHECK(worst_logistic() < 7);
    for (int32_t bits = 0; bits <= 6; ++bits) {
        printf("tanh, %d integer bits: %.2f\n", bits, worst_tanh(bits));
        CHECK(worst_tanh(bits) < 13);
    }
    for (int32_t bits = 0; bits <= 7; ++bits) CHECK(worst_exp(bits) < 8);

    double worst = 0;
    for (int64_t x = 2; x <= INT32_MAX; x = x < 100000 ? x + 1 : x + x / 997) {
        const zp_scale_pair scale = zp_inverse_sqrt((int32_t)x);
        CHECK(scale.multiplier > 0 && scale.shift >= -31 && scale.shift <= 0);
        worst = fmax(worst, fabs(ldexp((double)scale.multiplier, scale.shift - 31) * sqrt((double)x) - 1));
    }
    printf("inverse square root: relative error %.2e\n", worst);
    CHECK(worst < 2e-6);
    for (int32_t x = -3; x <= 1; ++x) CHECK(zp_inverse_sqrt(x).multiplier == INT32_MAX && zp_inverse_sqrt(x).shift == 0);
    CHECK(zp_inverse_sqrt(INT32_MIN).multiplier == INT32_MAX);
    return 0;
}
