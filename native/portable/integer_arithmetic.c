/* Arithmetic of shapes, indices and masks. Sums and products keep the low bits, so nothing is undefined. */
#include "integer_arithmetic.h"

#include "broadcast.h"
#include "integers.h"
#include "params.h"

/* The quotient towards -infinity; the one that does not fit, of the lowest number by -1, wraps. */
static uint64_t floor_div(int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return (uint64_t)0 - (uint64_t)a;
    const int64_t quotient = a / b;
    return (uint64_t)(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient);
}

static uint64_t apply(int32_t operation, int64_t a, int64_t b) {
    const uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (operation) {
        case ZP_INTEGER_ADD: return x + y;
        case ZP_INTEGER_SUB: return x - y;
        case ZP_INTEGER_MUL: return x * y;
        case ZP_INTEGER_FLOOR_DIV: return floor_div(a, b);
        case ZP_INTEGER_FLOOR_MOD: return b == 0 ? 0 : x - floor_div(a, b) * y;
        case ZP_INTEGER_MAXIMUM: return a > b ? x : y;
        case ZP_INTEGER_MINIMUM: return a < b ? x : y;
        case ZP_INTEGER_AND: return x & y;
        case ZP_INTEGER_OR: return x | y;
        default: return x ^ y;
    }
}

void zp_integer_arithmetic_s8_portable(const void *params, const zp_buffers *buffers, int32_t begin, int32_t end) {
    const zp_integer_arithmetic_params *p = params;
    for (int32_t unit = begin; unit < end; ++unit) {
        const ptrdiff_t at1 = zp_broadcast_offset(unit, p->rank, p->shape, p->stride1);
        const ptrdiff_t at2 = zp_broadcast_offset(unit, p->rank, p->shape, p->stride2);
        const int64_t a = zp_load_integer(buffers->in[0], at1, p->element_size);
        const int64_t b = zp_load_integer(buffers->in[1], at2, p->element_size);
        zp_store_integer(buffers->out[0], unit, p->element_size, apply(p->operation, a, b));
    }
}
