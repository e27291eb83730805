#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <mutex>

#include "base/failpoint.h"
#include "state/stores.h"

namespace godwit::state {
namespace {

// Number N brings a file of version N-1 to N. Never changed once released; new ones go to the end.
constexpr const char* kMigrations[] = {
    // 1
    "CREATE TABLE resources ("
    "  creation INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, region TEXT NOT NULL, key TEXT NOT "
    "NULL,"
    "  document TEXT NOT NULL, UNIQUE (kind, region, key));"
    "CREATE TABLE events ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, region TEXT NOT NULL,"
    "  source_type TEXT NOT NULL, source_id TEXT NOT NULL, message TEXT NOT NULL, categories TEXT NOT NULL);"
    "CREATE INDEX events_by_time ON events (region, time_us);"
    "CREATE INDEX events_by_age ON events (time_us);",
};
constexpr int kVersion = static_cast<int>(std::size(kMigrations));
constexpr char kCategorySeparator = '\x1f';

std::unexpected<Error> sqlite_error(sqlite3* db, int code) {
    const auto kind = (code & 0xff) == SQLITE_FULL ? ErrorCode::resource_exhausted
                      : (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB
                          ? ErrorCode::data_loss
                          : ErrorCode::unavailable;
    return fail(kind,
                fmt::format("state store: {}", db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code)));
}

// One prepared statement, reset when the use of it ends.
class Statement {
public:
    Statement(sqlite3* db, sqlite3_stmt* s) : db_(db), s_(s) {}
    ~Statement() {
        sqlite3_reset(s_);
        sqlite3_clear_bindings(s_);
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(const std::string& text) {
        // the caller's strings outlive the statement's use
        sqlite3_bind_text64(s_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
        return *this;
    }
    Statement& bind(std::int64_t number) {
        sqlite3_bind_int64(s_, ++bound_, number);
        return *this;
    }
    // true: a row is there
    Result<bool> step() {
        const int code = sqlite3_step(s_);
        if (code == SQLITE_ROW) return true;
        if (code == SQLITE_DONE) return false;
        return sqlite_error(db_, code);
    }
    [[nodiscard]] std::string text(int column) const {
        const auto* at = reinterpret_cast<const char*>(sqlite3_column_text(s_, column));
        return at == nullptr ? std::string()
                             : std::string(at, static_cast<std::size_t>(sqlite3_column_bytes(s_, column)));
    }
    [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(s_, column); }

private:
    sqlite3* db_;
    sqlite3_stmt* s_;
    int bound_ = 0;
};

class SqliteStore final : public StateStore {
public:
    explicit SqliteStore(sqlite3* db) : db_(db) {}
    ~SqliteStore() override {
        for (auto* s : {put_, get_, list_, list_all_, remove_, add_event_, events_, forget_})
            sqlite3_finalize(s);
        sqlite3_close(db_);
    }
    SqliteStore(const SqliteStore&) = delete;
    SqliteStore& operator=(const SqliteStore&) = delete;

    Result<> run(const std::string& sql) {
        const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) return sqlite_error(db_, code);
        return {};
    }

    Result<> open() {
        // A caller is told "created" when the resource survives a power cut, not only a crash: FULL. A put
        // costs one fsync, and the control plane makes few.
        GW_CHECK(run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;"));
        GW_CHECK(migrate());
        GW_CHECK(prepare(put_,
                         "INSERT INTO resources (kind, region, key, document) VALUES (?,?,?,?) "
                         "ON CONFLICT (kind, region, key) DO UPDATE SET document = excluded.document"));
        GW_CHECK(
            prepare(get_, "SELECT creation, document FROM resources WHERE kind=? AND region=? AND key=?"));
        GW_CHECK(prepare(
            list_,
            "SELECT creation, region, key, document FROM resources WHERE kind=? AND region=? ORDER BY 1"));
        GW_CHECK(prepare(list_all_,
                         "SELECT creation, region, key, document FROM resources WHERE kind=? ORDER BY 1"));
        GW_CHECK(prepare(remove_, "DELETE FROM resources WHERE kind=? AND region=? AND key=?"));
        GW_CHECK(prepare(add_event_,
                         "INSERT INTO events (time_us, region, source_type, source_id, message, categories) "
                         "VALUES (?,?,?,?,?,?)"));
        GW_CHECK(prepare(events_,
                         "SELECT number, time_us, source_type, source_id, message, categories FROM events "
                         "WHERE region=? AND time_us>=? AND time_us<? ORDER BY time_us, number"));
        GW_CHECK(prepare(forget_, "DELETE FROM events WHERE time_us < ?"));
        return {};
    }

    Result<> put(const StoredResource& r) override {
        const std::lock_guard lock(mutex_);
        GW_FAILPOINT("store.before_put");
        Statement s(db_, put_);
        GW_TRY(s.bind(r.kind).bind(r.region).bind(r.key).bind(r.document).step());
        GW_FAILPOINT("store.put");
        return {};
    }
    Result<std::optional<StoredResource>> get(const std::string& kind, const std::string& region,
                                              const std::string& key) override {
        const std::lock_guard lock(mutex_);
        Statement s(db_, get_);
        const bool found = GW_TRY(s.bind(kind).bind(region).bind(key).step());
        if (!found) return std::nullopt;
        return StoredResource{kind, region, key, s.text(1), s.number(0)};
    }
    Result<std::vector<StoredResource>> list(const std::string& kind, const std::string& region) override {
        const std::lock_guard lock(mutex_);
        Statement s(db_, region.empty() ? list_all_ : list_);
        s.bind(kind);
        if (!region.empty()) s.bind(region);
        std::vector<StoredResource> out;
        while (GW_TRY(s.step())) out.push_back({kind, s.text(1), s.text(2), s.text(3), s.number(0)});
        return out;
    }
    Result<> remove(const std::string& kind, const std::string& region, const std::string& key) override {
        const std::lock_guard lock(mutex_);
        Statement s(db_, remove_);
        GW_TRY(s.bind(kind).bind(region).bind(key).step());
        return {};
    }
    Result<> add_event(const StoredEvent& e) override {
        std::string categories;
        for (const auto& c : e.categories)
            categories += (categories.empty() ? "" : std::string(1, kCategorySeparator)) + c;
        const std::lock_guard lock(mutex_);
        Statement s(db_, add_event_);
        GW_TRY(s.bind(e.time_us)
                   .bind(e.region)
                   .bind(e.source_type)
                   .bind(e.source_id)
                   .bind(e.message)
                   .bind(categories)
                   .step());
        return {};
    }
    Result<std::vector<StoredEvent>> events(const std::string& region, std::int64_t from_us,
                                            std::int64_t to_us) override {
        const std::lock_guard lock(mutex_);
        Statement s(db_, events_);
        s.bind(region).bind(from_us).bind(to_us);
        std::vector<StoredEvent> out;
        while (GW_TRY(s.step())) {
            StoredEvent e{s.number(0), s.number(1), region, s.text(2), s.text(3), s.text(4), {}};
            const auto all = s.text(5);
            for (std::size_t from = 0; from < all.size();) {
                const auto to = std::min(all.find(kCategorySeparator, from), all.size());
                e.categories.push_back(all.substr(from, to - from));
                from = to + 1;
            }
            out.push_back(std::move(e));
        }
        return out;
    }
    Result<> forget_events_before(std::int64_t time_us) override {
        const std::lock_guard lock(mutex_);
        Statement s(db_, forget_);
        GW_TRY(s.bind(time_us).step());
        return {};
    }

private:
    Result<> prepare(sqlite3_stmt*& to, const char* sql) {
        const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &to, nullptr);
        if (code != SQLITE_OK) return sqlite_error(db_, code);
        return {};
    }
    Result<> migrate() {
        sqlite3_stmt* raw = nullptr;
        GW_CHECK(prepare(raw, "PRAGMA user_version"));
        int version = 0;
        if (sqlite3_step(raw) == SQLITE_ROW) version = sqlite3_column_int(raw, 0);
        sqlite3_finalize(raw);
        if (version > kVersion)
            return fail(
                ErrorCode::failed_precondition,
                fmt::format("state store: written by a newer version (format {}, this program knows {})",
                            version, kVersion));
        for (int next = version + 1; next <= kVersion; ++next) {
            const auto done = run(fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version={}; COMMIT;",
                                              kMigrations[next - 1], next));
            if (!done) {
                sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
                return done;
            }
        }
        return {};
    }

    sqlite3* const db_;
    std::mutex mutex_;  // guards the statements
    sqlite3_stmt *put_ = nullptr, *get_ = nullptr, *list_ = nullptr, *list_all_ = nullptr, *remove_ = nullptr,
                 *add_event_ = nullptr, *events_ = nullptr, *forget_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<StateStore>> open_sqlite_store(const std::filesystem::path& file) {
    const auto mask = ::umask(0077);  // the file holds sealed secrets and its side files follow its mode
    sqlite3* db = nullptr;
    const int code = sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    auto store = std::make_unique<SqliteStore>(db);
    Result<> opened;
    if (code != SQLITE_OK)
        opened = sqlite_error(db, code);
    else
        opened = store->open();
    ::umask(mask);
    if (!opened) return std::unexpected(std::move(opened).error().with(file.string()));
    return store;
}

}  // namespace godwit::state
