#include "base/files.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/bytes.h"

namespace godwit {
namespace {

std::unexpected<Error> os_error(std::string_view what, const std::filesystem::path& path) {
    const int e = errno;
    return fail(e == ENOSPC || e == EDQUOT ? ErrorCode::resource_exhausted
                : e == ENOENT              ? ErrorCode::not_found
                                           : ErrorCode::unavailable,
                fmt::format("{} {}: {}", what, path.string(), std::strerror(e)));
}

// state letter and start time of a pid
std::optional<std::pair<char, unsigned long long>> stat_of(pid_t pid) {
    // No stream: its iterators throw when the process goes between open and read.
    const auto text = read_file(fmt::format("/proc/{}/stat", pid));
    if (!text) return {};
    const auto close = text->rfind(')');
    if (close == std::string::npos) return {};
    std::istringstream fields(text->substr(std::min(close + 2, text->size())));
    char state = 0;
    fields >> state;
    std::string skip;
    for (int i = 4; i < 22; ++i) fields >> skip;
    unsigned long long start = 0;
    fields >> start;
    return std::pair{state, start};
}

}  // namespace

Result<> write_file(const std::filesystem::path& path, std::string_view content, bool durable) {
    const auto beside = path.string() + ".new";
    const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return os_error("cannot write", path);
    for (std::size_t at = 0; at < content.size();) {
        const auto n = ::write(fd, content.data() + at, content.size() - at);
        if (n < 0) {
            if (errno == EINTR) continue;
            auto error = os_error("cannot write", path);
            ::close(fd);
            return error;
        }
        at += static_cast<std::size_t>(n);
    }
    if (durable && ::fsync(fd) != 0) {
        auto error = os_error("cannot fsync", path);
        ::close(fd);
        return error;
    }
    ::close(fd);
    if (::rename(beside.c_str(), path.c_str()) != 0) return os_error("cannot rename", path);
    if (durable) {
        const int dir = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0) {
            ::fsync(dir);
            ::close(dir);
        }
    }
    return {};
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return os_error("cannot read", path);
    std::string out;
    char block[65536];
    for (;;) {
        const auto n = ::read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            auto error = os_error("cannot read", path);
            ::close(fd);
            return error;
        }
        if (n == 0) break;
        out.append(block, static_cast<std::size_t>(n));
        if (out.size() > bytes_max) {
            ::close(fd);
            return fail(ErrorCode::resource_exhausted, path.string() + " is too large");
        }
    }
    ::close(fd);
    return out;
}

Result<> write_summed_file(const std::filesystem::path& path, std::string_view content, bool durable) {
    const std::uint64_t sum = XXH3_64bits(content.data(), content.size());
    std::string whole(reinterpret_cast<const char*>(&sum), sizeof sum);
    whole += content;
    return write_file(path, whole, durable);
}

Result<std::string> read_summed_file(const std::filesystem::path& path) {
    const auto whole = read_file(path);
    if (!whole) return std::unexpected(whole.error());
    ByteReader in(as_bytes(*whole));
    const auto sum = in.le<std::uint64_t>();
    const auto content = std::string_view(*whole).substr(std::min(sizeof sum, whole->size()));
    if (in.failed() || XXH3_64bits(content.data(), content.size()) != sum)
        return fail(ErrorCode::data_loss, path.string() + " is damaged");
    return std::string(content);
}

std::optional<ProcessId> find_process(pid_t pid) {
    const auto s = stat_of(pid);
    if (!s || s->first == 'Z' || s->first == 'X') return {};
    return ProcessId{pid, s->second};
}

ProcessId this_process() { return find_process(::getpid()).value_or(ProcessId{::getpid(), 0}); }

bool alive(const ProcessId& process) {
    const auto found = find_process(process.pid);
    return found && *found == process;
}

Result<LockFile> LockFile::take(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return os_error("cannot open", path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ::close(fd);
        const auto who = holder(path);
        return fail(ErrorCode::failed_precondition,
                    fmt::format("{} is held by process {}", path.string(), who ? who->pid : 0));
    }
    const auto me = this_process();
    const auto text = fmt::format("{} {}\n", me.pid, me.start_time);
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) < 0) {
        auto error = os_error("cannot write", path);
        ::close(fd);
        return error;
    }
    return LockFile(fd);
}

std::optional<ProcessId> LockFile::holder(const std::filesystem::path& path) {
    std::ifstream in(path);
    ProcessId id;
    if (!(in >> id.pid >> id.start_time) || !alive(id)) return {};
    return id;
}

LockFile::~LockFile() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace godwit
