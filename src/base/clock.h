#pragma once
// Time through a door, so that tests need no sleep.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace godwit {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

// Thread safe.
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual WallTime now() const = 0;
    [[nodiscard]] virtual SteadyTime steady() const = 0;
    // false: stopped before the time was over
    virtual bool sleep(std::chrono::milliseconds time, std::stop_token stop) = 0;
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] WallTime now() const override {
        return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    }
    [[nodiscard]] SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
    bool sleep(std::chrono::milliseconds time, std::stop_token stop) override {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        never.wait_for(lock, stop, time, [] { return false; });
        return !stop.stop_requested();
    }
};

// Moves only when told to; a sleeper returns at once and the clock jumps by what it asked for.
class FakeClock final : public Clock {
public:
    explicit FakeClock(WallTime start = WallTime{}) : now_(start) {}
    [[nodiscard]] WallTime now() const override {
        const std::lock_guard lock(mutex_);
        return now_;
    }
    [[nodiscard]] SteadyTime steady() const override {
        const std::lock_guard lock(mutex_);
        return SteadyTime{} + (now_ - WallTime{});
    }
    bool sleep(std::chrono::milliseconds time, std::stop_token stop) override {
        advance(time);
        return !stop.stop_requested();
    }
    void advance(std::chrono::microseconds by) {
        const std::lock_guard lock(mutex_);
        now_ += by;
    }

private:
    mutable std::mutex mutex_;  // guards now_
    WallTime now_;
};

}  // namespace godwit
