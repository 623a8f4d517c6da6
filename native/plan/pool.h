// Threads for one plan: a fork costs a store where the workers are still spinning, a wake-up where they sleep.
//
// A job is closed, not joined: the caller works through the units itself, then waits only for workers that really
// entered. A worker that wakes late finds the job closed and touches nothing, so a busy machine
// does not stall a run. Units are independent, so which thread takes which has no influence on the result.
#ifndef ZP_PLAN_POOL_H
#define ZP_PLAN_POOL_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace zp {

class Pool {
public:
    // `begin`..`end` are work units; `thread` is in [0, threads) and unique among those running at the same time.
    using Function = void (*)(void *context, std::int32_t begin, std::int32_t end, int thread);

    explicit Pool(int threads);  // creates threads - 1 workers, none for 1
    ~Pool();
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    // True in the child of a fork, where the workers never were: the child must neither use nor destroy the pool.
    bool foreign() const;

    // Calls `function` so that every unit of [0, units) is computed once, in pieces of at least `grain` units.
    // Runs everything in the calling thread where that is less work, or where another caller has the workers.
    void run(std::int32_t units, std::int32_t grain, Function function, void *context);

private:
    void work(int thread);
    void take_pieces(int thread);

    // state_ = epoch << 16 | open << 15 | number of workers inside the current job
    static constexpr std::uint64_t kOpen = 1u << 15, kInside = kOpen - 1, kEpoch = 1u << 16;
    std::atomic<std::uint64_t> state_{0};
    std::atomic<std::int64_t> next_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stop_{false};
    Function function_ = nullptr;
    void *context_ = nullptr;
    std::int64_t units_ = 0, piece_ = 1;
    std::mutex caller_, sleep_;
    std::condition_variable wake_;
    std::vector<std::thread> workers_;
    int process_;
};

// Ends a pool, or leaks it where it belongs to the parent process: destroying would wait for threads that are not here.
struct RetirePool {
    void operator()(Pool *pool) const {
        if (pool != nullptr && !pool->foreign()) delete pool;
    }
};

}  // namespace zp
#endif
