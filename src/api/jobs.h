#pragma once
// Work behind the answers: state changes a moment later, and slow things (connection tests, clean-ups).

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace godwit::api {

// Thread safe. Jobs that have not begun when the object dies are dropped: what they would do is found again
// in the stored states at the next start.
class Jobs {
public:
    using Job = std::function<void(const std::stop_token&)>;

    explicit Jobs(int threads) {
        for (int i = 0; i < threads; ++i)
            threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
    }
    ~Jobs() {
        for (auto& thread : threads_) thread.request_stop();
    }
    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;

    void after(std::chrono::milliseconds delay, Job job) {
        const std::lock_guard lock(mutex_);
        waiting_.emplace(std::chrono::steady_clock::now() + delay, std::move(job));
        wake_.notify_one();
    }

private:
    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            if (waiting_.empty()) {
                wake_.wait(lock, stop, [&] { return !waiting_.empty(); });
                continue;
            }
            const auto due = waiting_.begin()->first;
            if (std::chrono::steady_clock::now() < due) {
                wake_.wait_until(lock, stop, due,
                                 [&] { return !waiting_.empty() && waiting_.begin()->first < due; });
                continue;
            }
            auto job = std::move(waiting_.begin()->second);
            waiting_.erase(waiting_.begin());
            lock.unlock();
            job(stop);
            lock.lock();
        }
    }

    std::mutex mutex_;  // guards waiting_
    std::condition_variable_any wake_;
    std::multimap<std::chrono::steady_clock::time_point, Job> waiting_;
    std::vector<std::jthread> threads_;
};

}  // namespace godwit::api
