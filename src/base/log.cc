#include "base/log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace godwit {

std::string_view name(Component component) noexcept {
    switch (component) {
        case Component::task_manager:
            return "TASK_MANAGER";
        case Component::tables_manager:
            return "TABLES_MANAGER";
        case Component::metadata_manager:
            return "METADATA_MANAGER";
        case Component::source_unload:
            return "SOURCE_UNLOAD";
        case Component::source_capture:
            return "SOURCE_CAPTURE";
        case Component::target_load:
            return "TARGET_LOAD";
        case Component::target_apply:
            return "TARGET_APPLY";
        case Component::sorter:
            return "SORTER";
        case Component::communication:
            return "COMMUNICATION";
        case Component::common:
            return "COMMON";
        case Component::rest_server:
            return "REST_SERVER";
    }
    return "COMMON";
}

Log::Log(std::filesystem::path path, std::uint64_t file_bytes_max, int files_max)
    : path_(std::move(path)), file_bytes_max_(file_bytes_max), files_max_(files_max) {
    set_level(Severity::info);
    if (path_.empty()) return;
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;  // standard error is the fall-back: a task must not fail for its log
    fd_ = fd;
    struct stat st{};
    if (::fstat(fd_, &st) == 0) size_ = static_cast<std::uint64_t>(st.st_size);
}

Log::~Log() {
    if (fd_ != 2) ::close(fd_);
}

void Log::set_level(Component component, Severity most_verbose) {
    level_[static_cast<std::size_t>(component)] = static_cast<std::uint8_t>(most_verbose);
}

void Log::set_level(Severity most_verbose) {
    for (auto& level : level_) level = static_cast<std::uint8_t>(most_verbose);
}

void Log::write(Component component, Severity severity, std::string_view text, std::source_location where) {
    if (static_cast<std::uint8_t>(severity) > level_[static_cast<std::size_t>(component)]) return;
    std::string_view file = where.file_name();
    if (const auto slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
    constexpr char kLetters[] = {'E', 'W', 'I', 'D', 'T'};
    const auto now = std::time(nullptr);
    std::string line = fmt::format("{:08}: {:%Y-%m-%dT%H:%M:%S} [{:<16}]{}:  {}  ({}:{})\n",
                                   ::syscall(SYS_gettid), fmt::gmtime(now), name(component),
                                   kLetters[static_cast<int>(severity)], text, file, where.line());
    // one event, one line
    for (std::size_t i = 0; i + 1 < line.size(); ++i)
        if (line[i] == '\n' || line[i] == '\r') line[i] = ' ';
    const std::lock_guard lock(mutex_);
    if (fd_ != 2 && size_ + line.size() > file_bytes_max_) rotate();
    [[maybe_unused]] const auto n = ::write(fd_, line.data(), line.size());
    size_ += line.size();
}

void Log::rotate() {
    std::error_code ignored;
    for (int i = files_max_; i > 1; --i)
        std::filesystem::rename(path_.string() + "." + std::to_string(i - 1),
                                path_.string() + "." + std::to_string(i), ignored);
    std::filesystem::rename(path_, path_.string() + ".1", ignored);
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    ::close(fd_);
    fd_ = fd;
    size_ = 0;
}

}  // namespace godwit
