#pragma once
// Small durable files, and the lock file that says which process owns a folder.

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace godwit {

// Whole file replaced in one step (write beside, fsync when `durable`, rename). Mode 0600.
[[nodiscard]] Result<> write_file(const std::filesystem::path& path, std::string_view content, bool durable);
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t bytes_max = 64U << 20);
// As write_file() with a sum in front, so that a file that was cut or damaged is told from a whole one.
[[nodiscard]] Result<> write_summed_file(const std::filesystem::path& path, std::string_view content,
                                         bool durable);
// not_found without a file, data_loss when it is not whole
[[nodiscard]] Result<std::string> read_summed_file(const std::filesystem::path& path);

// A process is its pid and its start time (field 22 of /proc/PID/stat), so a reused pid is not mistaken for
// it.
struct ProcessId {
    pid_t pid = 0;
    unsigned long long start_time = 0;
    friend bool operator==(const ProcessId&, const ProcessId&) = default;
};
[[nodiscard]] ProcessId this_process();
// false also for a zombie
[[nodiscard]] bool alive(const ProcessId& process);
[[nodiscard]] std::optional<ProcessId> find_process(pid_t pid);

// Owns a folder for as long as the object lives (flock on `path`, which also holds "pid start_time").
class LockFile {
public:
    // failed_precondition when another live process holds it
    [[nodiscard]] static Result<LockFile> take(const std::filesystem::path& path);
    // who holds it, if anyone does
    [[nodiscard]] static std::optional<ProcessId> holder(const std::filesystem::path& path);
    LockFile(LockFile&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
    LockFile& operator=(LockFile&&) = delete;
    ~LockFile();

private:
    explicit LockFile(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace godwit
