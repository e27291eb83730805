#pragma once
// The task log in the line form of DMS, rotated:
//   00362696: 2023-02-22T10:09:29 [SOURCE_CAPTURE  ]I:  text  (file.cc:123)
// Severities and components as ReplicationTaskSettings.Logging names them. No row values, no secrets.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <source_location>
#include <string>
#include <string_view>

namespace godwit {

enum class Severity : std::uint8_t { error, warning, info, debug, trace };

// The components that godwit writes; the names on the wire are upper case.
enum class Component : std::uint8_t {
    task_manager,
    tables_manager,
    metadata_manager,
    source_unload,
    source_capture,
    target_load,
    target_apply,
    sorter,
    communication,
    common,
    rest_server,
};
std::string_view name(Component component) noexcept;

// Thread safe. Writes to one file of at most `file_bytes_max`, keeping `files_max` old ones (path.1, path.2
// ...); an empty path writes to standard error.
class Log {
public:
    explicit Log(std::filesystem::path path = {}, std::uint64_t file_bytes_max = 100ULL << 20,
                 int files_max = 10);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    void set_level(Component component, Severity most_verbose);
    void set_level(Severity most_verbose);
    void write(Component component, Severity severity, std::string_view text,
               std::source_location where = std::source_location::current());

    void error(Component c, std::string_view text, std::source_location w = std::source_location::current()) {
        write(c, Severity::error, text, w);
    }
    void warning(Component c, std::string_view text,
                 std::source_location w = std::source_location::current()) {
        write(c, Severity::warning, text, w);
    }
    void info(Component c, std::string_view text, std::source_location w = std::source_location::current()) {
        write(c, Severity::info, text, w);
    }
    void debug(Component c, std::string_view text, std::source_location w = std::source_location::current()) {
        write(c, Severity::debug, text, w);
    }

private:
    void rotate();

    const std::filesystem::path path_;
    const std::uint64_t file_bytes_max_;
    const int files_max_;
    std::atomic<std::uint8_t> level_[16] = {};
    std::mutex mutex_;  // guards fd_, size_
    int fd_ = 2;
    std::uint64_t size_ = 0;
};

}  // namespace godwit
