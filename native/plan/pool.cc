#include "pool.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace zp {

static void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// About 20 microseconds of spinning before a worker sleeps: longer than the gap between two steps of a
// network, shorter than anybody else on the machine would notice.
static constexpr int kSpins = 600;

Pool::Pool(int threads) : process_(static_cast<int>(getpid())) {
    workers_.reserve(static_cast<std::size_t>(std::max(threads - 1, 0)));
    try {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (...) {
        // The system refuses more threads: go on with those that exist.
    }
}

bool Pool::foreign() const { return process_ != static_cast<int>(getpid()); }

Pool::~Pool() {
    {
        const std::lock_guard<std::mutex> lock(sleep_);
        stop_.store(true);
    }
    wake_.notify_all();
    for (std::thread &worker : workers_) worker.join();
}

void Pool::take_pieces(int thread) {
    for (;;) {
        const std::int64_t begin = next_.fetch_add(piece_, std::memory_order_relaxed);
        if (begin >= units_) return;
        const std::int64_t end = std::min(begin + piece_, units_);
        function_(context_, static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end), thread);
    }
}

void Pool::work(int thread) {
    std::uint64_t seen = 0;
    for (;;) {
        int spins = 0;
        while (state_.load(std::memory_order_acquire) / kEpoch == seen && !stop_.load(std::memory_order_relaxed)) {
            if (++spins < kSpins) {
                pause_briefly();
                continue;
            }
            std::unique_lock<std::mutex> lock(sleep_);
            sleepers_.fetch_add(1);
            wake_.wait(lock, [&] { return state_.load() / kEpoch != seen || stop_.load(); });
            sleepers_.fetch_sub(1);
        }
        if (stop_.load(std::memory_order_relaxed)) return;
        std::uint64_t state = state_.load(std::memory_order_acquire);
        seen = state / kEpoch;
        while (state & kOpen) {
            if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
            seen = state / kEpoch;
            take_pieces(thread);
            state_.fetch_sub(1, std::memory_order_release);
            break;
        }
    }
}

void Pool::run(std::int32_t units, std::int32_t grain, Function function, void *context) {
    if (units <= 0) return;
    std::unique_lock<std::mutex> caller(caller_, std::defer_lock);
    if (workers_.empty() || units <= grain || foreign() || !caller.try_lock()) {
        function(context, 0, units, 0);
        return;
    }
    function_ = function;
    context_ = context;
    units_ = units;
    // Four pieces per thread even out unequal speed; more would only cost.
    const std::int64_t wanted = (static_cast<std::int64_t>(units) + 4 * threads() - 1) / (4 * threads());
    piece_ = std::max<std::int64_t>({wanted, grain, 1});
    next_.store(0, std::memory_order_relaxed);
    const std::uint64_t epoch = (state_.load(std::memory_order_relaxed) / kEpoch + 1) * kEpoch;
    state_.store(epoch | kOpen);
    if (sleepers_.load() > 0) {
        { const std::lock_guard<std::mutex> lock(sleep_); }
        wake_.notify_all();
    }
    take_pieces(0);
    std::uint64_t state = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    for (int spins = 0; (state & kInside) != 0; state = state_.load(std::memory_order_acquire)) {
        if (++spins < kSpins) {
            pause_briefly();
        } else {
            sched_yield();
        }
    }
}

}  // namespace zp
