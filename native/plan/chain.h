// The steps of a plan. Most are one step of the program, a link; some are chains of links run strip by strip: what a link
// writes is read by the next one on the same core, at once, and threads wait for each other once per chain, not once per link.
//
// A strip is some neighbouring output lines (n, oh), and a unit of the chain's work. Links that can be computed so:
//   depthwise     at the beginning only: the same kernel on the lines of the image that the strip's windows see
//   pointwise     conv_2d 1x1 of stride 1: the same kernel on an image of the strip's positions
//   element-wise  add, mul, table, behind another link: the same kernel on the strip's elements, in the place of its input
// The latter two leave positions where they are, so any number of them may follow each other. What is handed on to a pointwise
// link lies in the thread's scratch and has no place in the arena.
//
// The integers are those of the links one after the other, whatever the strips and threads.
#ifndef ZP_PLAN_CHAIN_H
#define ZP_PLAN_CHAIN_H

#include <cstdint>
#include <vector>

#include "../kernels/registry.h"
#include "program.h"
#include "step.h"

namespace zp {

// Which steps become chains: none; those that measured faster (see `faster` in chain.cc); every one that can, for tests.
enum class Fusion { never, where_faster, wherever_possible };

// A step of the program, ready to run.
struct Link {
    int number;  // of the program's step
    const KernelRecord *kernel;
    Params params;
    std::int64_t units, work;
    const std::uint8_t *packed = nullptr;  // null: the kernel does not pack
    std::vector<int> inputs, outputs;
    bool in_order[2];  // Prepared::in_order

    // In a chain only.
    enum Kind { depthwise, pointwise, elementwise } kind = elementwise;
    std::int64_t channels = 0;         // bytes of one output position
    std::int64_t place = -1;           // of the output in the thread's scratch; -1: it is, or lies at, the step's output
    bool chained[2] = {false, false};  // whether inputs 0 and 1 are the output of the link before
};

struct Step {
    std::vector<Link> links;
    std::int32_t units = 0, grain = 1;  // for the pool; a unit of a chain is a strip
    std::size_t scratch_bytes = 0;      // of one thread
    std::vector<std::int64_t> strips;   // of a chain: their first lines, and one behind the last
    std::int64_t columns = 0;           // positions of a line

    bool is_chain() const { return links.size() > 1; }
    const std::vector<int> &outputs() const { return links.back().outputs; }
};

// What one run of a step works on: pointers to its links' operands.
struct Operands {
    std::vector<std::vector<const void *>> in;
    std::vector<std::vector<void *>> out;
};

// Steps of the links in order, chains among them where `fusion` says so. `roots`: tensor -> the tensor whose storage it is.
std::vector<Step> make_steps(const Program &program, const std::vector<int> &roots, std::vector<Link> links, Fusion fusion, int threads);

// The step's units begin..end-1.
void run_units(const Step &step, const Operands &operands, std::uint8_t *scratch, std::int32_t begin, std::int32_t end);

}  // namespace zp
#endif
