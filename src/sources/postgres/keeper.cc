#include "sources/postgres/keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <thread>

#include "base/bytes.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "core/task.h"
#include "sources/postgres/connect.h"
#include "wire/pg/connection.h"

extern char** environ;

namespace godwit::postgres {
namespace {

using namespace std::chrono_literals;
constexpr auto kOrphanMinutes = 15min;
constexpr auto kLookEvery = 500ms;

std::filesystem::path state_path(const std::filesystem::path& folder, const std::string& name) {
    return folder / (name + ".state");
}
// Socket paths are short (108 bytes): task folders may be deep, so the process works inside its folder.
std::filesystem::path socket_path(const std::filesystem::path& folder, const std::string& name) {
    return folder / (name + ".sock");
}

// A socket file of a deep folder through /proc, so that its path fits.
class FolderAddress {
public:
    explicit FolderAddress(const std::filesystem::path& path)
        : fd_(::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
        address_.sun_family = AF_UNIX;
        const auto text = fmt::format("/proc/self/fd/{}/{}", fd_, path.filename().string());
        std::strncpy(address_.sun_path, text.c_str(), sizeof address_.sun_path - 1);
    }
    FolderAddress(const FolderAddress&) = delete;
    FolderAddress& operator=(const FolderAddress&) = delete;
    ~FolderAddress() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
    static socklen_t size() { return sizeof(sockaddr_un); }

private:
    int fd_;
    sockaddr_un address_{};
};

bool write_all(int fd, Bytes bytes) {
    while (!bytes.empty()) {
        const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
}

// A message: u32 length, then strings.
bool send_message(int fd, const std::vector<std::string>& parts) {
    ByteBuffer out;
    out.put_le(std::uint32_t{0});
    for (const auto& p : parts) put_string(out, p);
    const auto n = static_cast<std::uint32_t>(out.size() - 4);
    std::memcpy(out.data(), &n, 4);
    return write_all(fd, out.view());
}

std::optional<std::vector<std::string>> receive_message(int fd, std::chrono::milliseconds wait) {
    ByteBuffer in;
    std::size_t need = 4;
    const auto until = std::chrono::steady_clock::now() + wait;
    for (;;) {
        if (in.size() >= 4) {
            std::uint32_t n = 0;
            std::memcpy(&n, in.data(), 4);
            if (n > (1U << 20)) return {};
            need = 4 + n;
            if (in.size() >= need) break;
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        pollfd p{fd, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&p, 1, static_cast<int>(left.count())) == 0) return {};
        const std::size_t want = need - in.size();
        std::byte* at = in.extend(want);
        const auto n = ::recv(fd, at, want, 0);
        if (n <= 0) return {};
        in.resize_down(in.size() - want + static_cast<std::size_t>(n));
    }
    ByteReader reader(in.view().subspan(4));
    std::vector<std::string> parts;
    while (!reader.at_end()) parts.push_back(get_string(reader));
    if (reader.failed()) return {};
    return parts;
}

std::optional<KeeperState> read_state(const std::filesystem::path& path) {
    std::ifstream in(path);
    KeeperState s;
    std::string first;
    if (!std::getline(in, first)) return {};
    if (std::sscanf(first.c_str(), "%d %llu", &s.process.pid, &s.process.start_time) != 2) return {};
    std::getline(in, s.snapshot);
    std::getline(in, s.mark);
    std::getline(in, s.start);
    in >> s.slice_blocks;
    if (s.snapshot.empty()) return {};
    return s;
}

// The whole shape of a table and its leaves as one text. Read through plain catalogue queries, which follow
// the transaction's snapshot (functions like pg_partition_tree would not).
std::string shape_sql(const TableName& t) {
    return fmt::format(
        "WITH RECURSIVE tree AS (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {} "
        "UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_class p ON p.oid = tree.oid AND p.relkind = "
        "'p' "
        "JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid) "
        "SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.format('%s|%s|%s|%s', c.oid, c.relfilenode, "
        "c.relname, "
        "(SELECT pg_catalog.string_agg(pg_catalog.format('%s,%s,%s,%s,%s,%s', a.attnum, a.attname, "
        "a.atttypid, "
        "a.atttypmod, a.attisdropped, a.attgenerated), ';' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a "
        "WHERE a.attrelid = c.oid AND a.attnum > 0)), '/' ORDER BY c.oid)), "
        "pg_catalog.string_agg(c.oid::text, ',' ORDER BY c.oid) "
        "FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid",
        pg::quote_literal(t.schema), pg::quote_literal(t.table));
}

struct Lock {
    pg::Connection session;
    std::string relations;  // oids, comma separated
    std::chrono::steady_clock::time_point waiter_since{};
    bool waited = false;
};

class Keeper {
public:
    Keeper(EndpointConfig endpoint, std::string task)
        : endpoint_(std::move(endpoint)), task_(std::move(task)) {
        ddl_wait_ = std::chrono::milliseconds(endpoint_.number("ddlwaitms", 2000));
    }

    Result<std::string> hold(const std::string& import) {
        auto holder = GW_TRY(pg::Connection::open(source_options(endpoint_, task_, "keeper")));
        GW_CHECK(holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
        if (!import.empty()) GW_CHECK(holder.run("SET TRANSACTION SNAPSHOT " + pg::quote_literal(import)));
        const auto name = GW_TRY(holder.query("SELECT pg_catalog.pg_export_snapshot()"));
        snapshot_ = name.text(0, 0);
        holder_.emplace(std::move(holder));
        watcher_.emplace(GW_TRY(pg::Connection::open(source_options(endpoint_, task_, "keeper-watch"))));
        return snapshot_;
    }

    Result<> lock(const TableName& table) {
        auto session = GW_TRY(pg::Connection::open(source_options(endpoint_, task_, "keeper-lock")));
        GW_CHECK(session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
        // whatever the server says about it: no other table of this load will fare better
        if (auto taken = session.run("SET TRANSACTION SNAPSHOT " + pg::quote_literal(snapshot_)); !taken)
            return fail(ErrorCode::unavailable, "the load's snapshot is gone: " + taken.error().text());
        const std::string quoted = pg::quote_name(table.schema, table.table);
        if (GW_RULE("snapshot.table_lock")) {
            GW_CHECK(session.run(fmt::format("SET LOCAL lock_timeout = {}", ddl_wait_.count())));
            // ACCESS SHARE on views and foreign tables as well; partitions come with their root
            GW_CHECK(session.run("LOCK TABLE " + quoted + " IN ACCESS SHARE MODE"));
        }
        GW_FAILPOINT("keeper.locked");
        const auto then = GW_TRY(session.query(shape_sql(table)));
        const auto now = GW_TRY(watcher_->query(shape_sql(table)));
        if (GW_RULE("snapshot.shape_check"))
            if (then.null(0, 0) || now.null(0, 0) || then.text(0, 0) != now.text(0, 0))
                return fail(
                    ErrorCode::failed_precondition,
                    "table " + table.text() + " was altered or rewritten since the snapshot was taken");
        locks_.insert_or_assign(table, Lock{std::move(session), then.text(0, 1), {}, false});
        return {};
    }

    Result<> unlock(const TableName& table) {
        auto kept = check(table);
        broken_.erase(table);
        if (!kept) return kept;
        const auto it = locks_.find(table);
        if (it == locks_.end())
            return fail(ErrorCode::aborted, "the lock of table " + table.text() + " was lost");
        const bool healthy = it->second.session.run("SELECT 1").has_value();
        locks_.erase(it);
        if (!healthy)
            return fail(ErrorCode::aborted, "the session that locked table " + table.text() + " was lost");
        return {};
    }

    Result<> check(const TableName& table) const {
        if (!broken_.contains(table)) return {};
        return fail(ErrorCode::aborted, "a DDL statement of the source waited for table " + table.text() +
                                            "; its load gave way and starts anew");
    }

    // false: the snapshot is lost
    bool look() {
        if (!holder_->run("SELECT 1")) return false;
        // A reader whose rows nobody takes (the target stands still) hears of no cancel.
        if (GW_RULE("snapshot.ends_readers"))
            for (const auto& [table, relations] : broken_)
                if (!watcher_->query(readers_in_the_way("pg_terminate_backend", relations))) return false;
        for (auto it = locks_.begin(); it != locks_.end();) {
            auto& [table, lock] = *it;
            if (lock.relations.empty()) {
                ++it;
                continue;
            }
            const auto waiting = watcher_->query("SELECT count(*) " + waiters(lock.relations));
            if (!waiting) return false;
            const auto now = std::chrono::steady_clock::now();
            if (waiting->number(0, 0) == 0) {
                lock.waited = false;
            } else if (!lock.waited) {
                lock.waited = true;
                lock.waiter_since = now;
            } else if (now - lock.waiter_since >= ddl_wait_ && GW_RULE("snapshot.gives_way")) {
                [[maybe_unused]] auto ignored =
                    watcher_->query(readers_in_the_way("pg_cancel_backend", lock.relations));
                broken_.insert({table, lock.relations});
                it = locks_.erase(it);
                continue;
            }
            ++it;
        }
        return true;
    }

private:
    static std::string waiters(const std::string& relations) {
        return fmt::format(
            "FROM pg_catalog.pg_locks WHERE NOT granted AND locktype = 'relation' AND database = (SELECT oid "
            "FROM pg_catalog.pg_database WHERE datname = current_database()) AND relation IN ({})",
            relations);
    }
    // Calls `function` for each session of ours that reads these relations while somebody waits for them.
    [[nodiscard]] std::string readers_in_the_way(std::string_view function,
                                                 const std::string& relations) const {
        return fmt::format(
            "SELECT pg_catalog.{}(a.pid) FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_locks l ON "
            "l.pid = a.pid WHERE l.granted AND l.relation IN ({}) AND a.datname = current_database() AND "
            "a.application_name = {} AND EXISTS (SELECT {})",
            function, relations, pg::quote_literal("godwit/" + task_ + "/load"), waiters(relations));
    }

    EndpointConfig endpoint_;
    std::string task_, snapshot_;
    std::chrono::milliseconds ddl_wait_;
    std::optional<pg::Connection> holder_, watcher_;
    std::map<TableName, Lock> locks_;
    std::map<TableName, std::string> broken_;  // given back to a waiting statement; their relations
};

}  // namespace

std::int64_t slice_blocks(const EndpointConfig& endpoint) {
    return std::max<std::int64_t>(1, endpoint.number("sliceblocks", 2048));  // 16 MB
}

Result<KeeperClient> KeeperClient::spawn(const std::string& program, const std::filesystem::path& folder,
                                         const std::string& name, const std::string& task_id,
                                         const EndpointConfig& endpoint, const std::string& import,
                                         const std::string& mark, const std::string& start) {
    const auto state_file = state_path(folder, name);
    const auto socket_file = socket_path(folder, name);
    ::unlink(state_file.c_str());
    ::unlink(socket_file.c_str());
    TaskSpec spec;
    spec.id = task_id;
    spec.source = endpoint;
    const std::string document = to_json(spec);

    int in[2];
    if (::pipe2(in, O_CLOEXEC) != 0)
        return fail(ErrorCode::resource_exhausted, "cannot make a pipe for the keeper");
    std::vector<std::string> args{program,  "keeper",  "postgres", "--folder", folder.string(),
                                  "--name", name,      "--import", import,     "--mark",
                                  mark,     "--start", start};
    std::vector<char*> argv;
    for (auto& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    const auto log = (folder / (name + ".log")).string();
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    // A socket of the task's that it held would outlive the task, and with it what its session has locked on
    // the target.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // it outlives the task and its terminal
    pid_t pid = 0;
    const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    ::close(in[0]);
    if (failed != 0) {
        ::close(in[1]);
        return fail(ErrorCode::internal, fmt::format("cannot start the keeper: {}", std::strerror(failed)));
    }
    for (std::size_t at = 0; at < document.size();) {
        const auto n = ::write(in[1], document.data() + at, document.size() - at);
        if (n <= 0) break;
        at += static_cast<std::size_t>(n);
    }
    ::close(in[1]);
    for (int i = 0; i < 3000; ++i) {
        if (auto state = read_state(state_file)) return KeeperClient(socket_file, std::move(*state));
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) == pid) {
            const auto text = read_file(log).value_or("");
            const auto last = text.find_last_not_of('\n');
            const auto line = text.rfind('\n', last == std::string::npos ? 0 : last);
            return fail(ErrorCode::unavailable,
                        "the keeper of the load's snapshot ended: " +
                            text.substr(line == std::string::npos ? 0 : line + 1,
                                        last - (line == std::string::npos ? 0 : line)),
                        Retry::from_checkpoint);
        }
        std::this_thread::sleep_for(10ms);
    }
    ::kill(pid, SIGKILL);
    return fail(ErrorCode::unavailable, "the keeper of the load's snapshot did not answer in 30 s",
                Retry::from_checkpoint);
}

std::optional<KeeperClient> KeeperClient::find(const std::filesystem::path& folder, const std::string& name) {
    auto state = read_state(state_path(folder, name));
    if (!state || !alive(state->process)) return {};
    KeeperClient client(socket_path(folder, name), std::move(*state));
    if (!client.call("ping", {})) return {};
    return client;
}

void KeeperClient::end_others(const std::filesystem::path& folder, const std::string& name) {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none))
        if (entry.path().extension() == ".state" && entry.path().stem() != name)
            names.push_back(entry.path().stem());
    for (const auto& other : names)
        if (auto keeper = find(folder, other)) keeper->end();
}

Result<> KeeperClient::call(const std::string& operation, const TableName& table) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail(ErrorCode::resource_exhausted, "no socket for the keeper");
    const FolderAddress address(socket_);
    std::optional<std::vector<std::string>> answer;
    if (::connect(fd, address.get(), FolderAddress::size()) == 0 &&
        send_message(fd, {operation, table.schema, table.table}))
        answer = receive_message(fd, 60s);
    ::close(fd);
    if (!answer || answer->empty())
        return fail(ErrorCode::unavailable, "the keeper of the load's snapshot is gone",
                    Retry::from_checkpoint);
    if ((*answer)[0] == "ok") return {};
    const std::string text = answer->size() > 1 ? (*answer)[1] : "";
    const std::string code = answer->size() > 2 ? (*answer)[2] : "";
    if (code == "aborted") return fail(ErrorCode::aborted, text, Retry::call);
    if (code == "failed_precondition") return fail(ErrorCode::failed_precondition, text);
    if (code == "permission_denied") return fail(ErrorCode::permission_denied, text);
    if (code == "not_found") return fail(ErrorCode::not_found, text);
    return fail(ErrorCode::unavailable, text, Retry::from_checkpoint);
}

Result<> KeeperClient::lock(const TableName& table) { return call("lock", table); }
Result<> KeeperClient::check(const TableName& table) { return call("check", table); }
Result<> KeeperClient::unlock(const TableName& table) { return call("unlock", table); }
void KeeperClient::end() {
    if (!call("end", {})) [[maybe_unused]]
        const int ignored = ::kill(state_.process.pid, alive(state_.process) ? SIGTERM : 0);
    // reaped here when it is our child, else by init
    for (int i = 0; i < 200 && ::waitpid(state_.process.pid, nullptr, WNOHANG) == 0; ++i)
        std::this_thread::sleep_for(5ms);
}

int keeper_main(int argc, char** argv) {
    std::filesystem::path folder;
    std::string name = "keeper", import, mark, start;
    for (int i = 0; i + 1 < argc; ++i) {
        const std::string_view a = argv[i];
        if (a == "--folder") folder = argv[i + 1];
        if (a == "--name") name = argv[i + 1];
        if (a == "--import") import = argv[i + 1];
        if (a == "--mark") mark = argv[i + 1];
        if (a == "--start") start = argv[i + 1];
    }
    const std::string document((std::istreambuf_iterator<char>(std::cin)), {});
    auto spec = task_spec_from_json(document);
    if (!spec) {
        std::cerr << spec.error().text() << "\n";
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    Keeper keeper(spec->source, spec->id);
    auto snapshot = keeper.hold(import);
    if (!snapshot) {
        std::cerr << snapshot.error().text() << "\n";
        return 1;
    }
    const auto socket_file = socket_path(folder, name);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    {
        const FolderAddress address(socket_file);
        ::unlink(socket_file.c_str());
        if (::bind(listener, address.get(), FolderAddress::size()) != 0 || ::listen(listener, 16) != 0) {
            std::cerr << "cannot listen on " << socket_file.string() << ": " << std::strerror(errno) << "\n";
            return 1;
        }
    }
    const auto me = this_process();
    if (auto wrote = write_file(state_path(folder, name),
                                fmt::format("{} {}\n{}\n{}\n{}\n{}\n", me.pid, me.start_time, *snapshot, mark,
                                            start, slice_blocks(spec->source)),
                                false);
        !wrote) {
        std::cerr << wrote.error().text() << "\n";
        return 1;
    }
    auto owned = std::chrono::steady_clock::now();
    auto looked = owned;
    bool go_on = true;
    int code = 0;
    while (go_on) {
        pollfd p{listener, POLLIN, 0};
        ::poll(&p, 1, 100);
        const auto now = std::chrono::steady_clock::now();
        if (now - looked >= kLookEvery) {
            looked = now;
            if (!keeper.look()) {
                code = 1;
                break;
            }
            if (LockFile::holder(folder / "lock")) owned = now;
            if (now - owned > kOrphanMinutes || !std::filesystem::exists(folder)) break;
            // another keeper has taken our place: nobody knows of this one
            if (const auto mine = read_state(state_path(folder, name)); !mine || mine->process.pid != me.pid)
                break;
        }
        if ((p.revents & POLLIN) == 0) continue;
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        if (const auto request = receive_message(fd, 2s); request && request->size() == 3) {
            const TableName table{(*request)[1], (*request)[2]};
            Result<> outcome;
            if ((*request)[0] == "lock") outcome = keeper.lock(table);
            if ((*request)[0] == "check") outcome = keeper.check(table);
            if ((*request)[0] == "unlock") outcome = keeper.unlock(table);
            if ((*request)[0] == "end") go_on = false;
            if (outcome)
                send_message(fd, {"ok"});
            else
                send_message(
                    fd, {"error", outcome.error().text(), std::string(godwit::name(outcome.error().code))});
        }
        ::close(fd);
    }
    if (const auto mine = read_state(state_path(folder, name)); mine && mine->process.pid == me.pid) {
        ::unlink(socket_file.c_str());
        ::unlink(state_path(folder, name).c_str());
    }
    return code;
}

}  // namespace godwit::postgres
