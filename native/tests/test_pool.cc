// The thread pool: every unit exactly once, whoever computes it; callers at the same time; sleeping workers; fork.
#include "../plan/pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"

using zp::Pool;

namespace {

struct Counts {
    explicit Counts(std::int32_t units) : seen(static_cast<std::size_t>(units)) {}
    std::vector<std::atomic<int>> seen;
    std::atomic<int> threads_at_once[64] = {};
};

void count(void *context, std::int32_t begin, std::int32_t end, int thread) {
    auto &counts = *static_cast<Counts *>(context);
    CHECK(counts.threads_at_once[thread].fetch_add(1) == 0);
    for (std::int32_t i = begin; i < end; ++i) counts.seen[static_cast<std::size_t>(i)].fetch_add(1);
    counts.threads_at_once[thread].fetch_sub(1);
}

long check_run(Pool &pool, std::int32_t units, std::int32_t grain) {
    Counts counts(units);
    pool.run(units, grain, count, &counts);
    for (const auto &n : counts.seen) CHECK(n.load() == 1);
    return units;
}

}  // namespace

int main() {
    long checked = 0;
    for (int threads : {1, 2, 3, 8}) {
        Pool pool(threads);
        for (int round = 0; round < 300; ++round) checked += check_run(pool, 1 + round % 50, 1 + round % 3);
        checked += check_run(pool, 100000, 7);
        checked += check_run(pool, 3, INT32_MAX);
        pool.run(0, 1, count, nullptr);
        // Long enough for the workers to fall asleep, so that the next run has to wake them.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        checked += check_run(pool, 1000, 1);

        std::vector<std::thread> callers;
        for (int c = 0; c < 4; ++c)
            callers.emplace_back([&pool] {
                for (int round = 0; round < 100; ++round) check_run(pool, 64, 1);
            });
        for (std::thread &caller : callers) caller.join();
    }
    for (int i = 0; i < 50; ++i) {
        Pool pool(4);  // ended before its workers have even started
    }
#if !defined(__SANITIZE_THREAD__)
    std::unique_ptr<Pool, zp::RetirePool> pool(new Pool(3));
    check_run(*pool, 100, 1);
    const pid_t child = fork();
    if (child == 0) {
        check_run(*pool, 100, 1);  // the workers stayed behind: this has to run in the calling thread
        pool.reset();
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
    std::printf("%ld units computed once each\n", checked);
    CHECK(checked > 400000);
    return 0;
}
