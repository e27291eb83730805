#pragma once
// A bounded queue between threads that a stop request wakes.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace godwit {

// Thread safe.
template <class T>
class BoundedQueue {
public:
    explicit BoundedQueue(std::size_t max) : max_(max) {}

    // false: stopped or closed
    [[nodiscard]] bool push(T item, std::stop_token stop) {
        std::unique_lock lock(mutex_);
        if (!space_.wait(lock, stop, [&] { return items_.size() < max_ || closed_; }) || closed_) return false;
        items_.push_back(std::move(item));
        ready_.notify_one();
        return true;
    }
    // nothing: stopped, or closed and empty
    [[nodiscard]] std::optional<T> pop(std::stop_token stop) {
        std::unique_lock lock(mutex_);
        if (!ready_.wait(lock, stop, [&] { return !items_.empty() || closed_; }) || items_.empty()) return {};
        std::optional<T> item(std::move(items_.front()));
        items_.pop_front();
        space_.notify_one();
        return item;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        ready_.notify_all();
        space_.notify_all();
    }

private:
    const std::size_t max_;
    std::mutex mutex_;  // guards items_, closed_
    std::condition_variable_any space_, ready_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace godwit
