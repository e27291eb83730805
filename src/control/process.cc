#include "control/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/failpoint.h"

extern char** environ;  // NOLINT: POSIX

namespace godwit::control {
namespace {

constexpr const char* kSpawnedFile = "spawned";

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

std::unexpected<Error> system_error(const std::string& what, int code) {
    return fail(code == EMFILE || code == ENFILE || code == EAGAIN || code == ENOMEM
                    ? ErrorCode::resource_exhausted
                    : ErrorCode::unavailable,
                what + ": " + std::strerror(code));
}

// Anonymous memory: the document holds secrets and must not reach a disk, and a child slow to read blocks
// nobody.
Result<int> memory_file(const std::string& content) {
    const int fd = ::memfd_create("task", MFD_CLOEXEC);
    if (fd < 0) return system_error("memfd_create", errno);
    for (std::size_t at = 0; at < content.size();) {
        const auto n = ::write(fd, content.data() + at, content.size() - at);
        if (n < 0) {
            const int code = errno;
            ::close(fd);
            return system_error("memfd write", code);
        }
        at += static_cast<std::size_t>(n);
    }
    ::lseek(fd, 0, SEEK_SET);
    return fd;
}

std::int64_t mtime_ns(const std::filesystem::path& path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) != 0) return -1;
    return st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec;
}

// Remembers who was started, with a time just before the start: what the folder's files are compared with.
Result<> note_spawned(const std::filesystem::path& folder, const ProcessId& process, timespec before) {
    const auto file = folder / kSpawnedFile;
    GW_CHECK(write_file(file, fmt::format("{} {}\n", process.pid, process.start_time), false));
    constexpr long kFileClockStep = 20'000'000;  // file times lag behind the clock by up to a jiffy
    before.tv_nsec -= kFileClockStep;
    if (before.tv_nsec < 0) before.tv_nsec += 1'000'000'000, before.tv_sec -= 1;
    const timespec times[2] = {before, before};
    if (::utimensat(AT_FDCWD, file.c_str(), times, 0) != 0) return system_error(file.string(), errno);
    return {};
}

}  // namespace

Result<ProcessId> spawn_task(const std::string& program, const std::filesystem::path& folder,
                             const std::string& input) {
    const Fd stdin_fd(GW_TRY(memory_file(input)));
    const auto log = (folder / "process.log").string();

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, stdin_fd.get(), 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&defaults, signal);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    const std::string words[] = {program, "task-process", "--folder", folder.string()};
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> environment;
    for (char** e = environ; *e != nullptr; ++e)
        if (!std::string_view(*e).starts_with("GODWIT_ACCESS_KEYS=") &&
            !std::string_view(*e).starts_with("GODWIT_SECRETS_KEY="))
            environment.push_back(*e);
    environment.push_back(nullptr);

    timespec before{};
    ::clock_gettime(CLOCK_REALTIME, &before);
    pid_t pid = 0;
    const int code =
        ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0) return system_error("cannot start " + program, code);

    GW_FAILPOINT("serve.unnoted");
    const auto process = find_process(pid).value_or(ProcessId{pid, 0});
    if (const auto noted = note_spawned(folder, process, before); !noted) {
        ::kill(pid, SIGKILL);  // without the note a restarted server would not find it
        return std::unexpected(noted.error());
    }
    return process;
}

std::optional<ProcessId> spawned(const std::filesystem::path& folder) {
    return LockFile::holder(folder / kSpawnedFile);
}

bool status_is_of_last_spawn(const std::filesystem::path& folder) {
    const auto status = mtime_ns(folder / "status.json");
    return status >= 0 && status >= mtime_ns(folder / kSpawnedFile);
}

Result<std::string> ask_socket(const std::filesystem::path& socket, const std::string& request,
                               std::chrono::milliseconds timeout) {
    using std::chrono::steady_clock;
    const auto deadline = steady_clock::now() + timeout;
    const auto left_ms = [&] {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
        return static_cast<int>(std::max<std::int64_t>(0, std::min<std::int64_t>(left.count(), 1 << 30)));
    };
    // A socket's path may have 107 bytes; one through the open folder is always short.
    const Fd folder(::open(socket.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0) return system_error(socket.parent_path().string(), errno);
    const auto path = fmt::format("/proc/self/fd/{}/{}", folder.get(), socket.filename().string());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), std::min(path.size() + 1, sizeof address.sun_path));
    const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0) return system_error("socket", errno);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return system_error("the task's control socket", errno);

    const std::string line = request + "\n";
    for (std::size_t at = 0; at < line.size();) {
        const auto n = ::send(fd.get(), line.data() + at, line.size() - at, MSG_NOSIGNAL);
        if (n >= 0) {
            at += static_cast<std::size_t>(n);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) return system_error("the task's control socket", errno);
        pollfd p{fd.get(), POLLOUT, 0};
        if (::poll(&p, 1, left_ms()) == 0)
            return fail(ErrorCode::unavailable, "the task does not take requests");
    }
    std::string answer;
    for (;;) {
        char block[4096];
        const auto n = ::recv(fd.get(), block, sizeof block, 0);
        if (n > 0) {
            answer.append(block, static_cast<std::size_t>(n));
            if (const auto end = answer.find('\n'); end != std::string::npos) return answer.substr(0, end);
            if (answer.size() > (64U << 20))
                return fail(ErrorCode::resource_exhausted, "the task's answer is too long");
            continue;
        }
        if (n == 0) return fail(ErrorCode::unavailable, "the task ended without an answer");
        if (errno != EAGAIN && errno != EINTR) return system_error("the task's control socket", errno);
        pollfd p{fd.get(), POLLIN, 0};
        if (::poll(&p, 1, left_ms()) == 0)
            return fail(ErrorCode::unavailable,
                        fmt::format("the task gave no answer within {} ms", timeout.count()));
    }
}

}  // namespace godwit::control
