#include "sources/mysql/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <thread>
#include <utility>

#include "base/failpoint.h"
#include "base/files.h"
#include "base/hash.h"
#include "codecs/mysql/digest.h"
#include "codecs/mysql/labels.h"
#include "codecs/mysql/values.h"
#include "core/forwarding_sink.h"
#include "sources/mysql/binlog_stream.h"
#include "sources/mysql/catalogue.h"
#include "sources/mysql/row_reader.h"

namespace godwit::mysql {
namespace {

constexpr std::size_t kBlockBytes = 64U << 10;
constexpr std::int64_t kSliceKb = 32 << 10;  // aimed at; attribute sliceKB
constexpr std::size_t kSlicesMax = 256;
constexpr unsigned kTableAltered = 1412, kNoSuchTable = 1146, kNoSuchDatabase = 1049;
constexpr const char* kBookmark = "binlog.position";
constexpr std::uint64_t kFirstOffset = 4;
constexpr std::string_view kByGtids = "gtid:";
constexpr const char* kHistory = "binlog.tables";
constexpr const char* kTakenBack = "binlog.taken_back";
constexpr std::uint32_t kPreparedWaitS = 600;
constexpr auto kReplicaLag = std::chrono::seconds(10);
constexpr auto kDoubtAgain = std::chrono::seconds(15);
constexpr int kNoDisplayWidths = 80019;  // MySQL spells int as int from this version on

ConnectOptions options_of(const EndpointConfig& e, const std::string& program) {
    ConnectOptions o;
    o.host = e.host;
    o.port = e.port != 0 ? e.port : 3306;
    o.user = e.user;
    o.password = e.password;
    o.ssl_mode = e.ssl_mode;
    o.ca_certificate_pem = e.ca_certificate_pem;
    o.program_name = program;
    o.connect_timeout_s =
        static_cast<int>(std::clamp<std::int64_t>(e.number("connectiontimeout", 10), 1, 3600));
    for (auto& script : e.scripts()) o.scripts.push_back(std::move(script.sql));
    // The same text of a value and every row in every session, whatever the server's settings and the user's
    // scripts say. In a comment: what only one flavour has.
    const std::string zone = GW_RULE("mysql.utc_session") ? "time_zone = '+00:00', " : "";
    o.after_connect = {
        "SET SESSION " + zone +
            "sql_mode = '', net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 28800, "
            "autocommit = 1, completion_type = 0, sql_select_limit = 18446744073709551615, "
            "sql_big_selects = 1 /*!50708 , max_execution_time = 0 */ "
            "/*M!100100 , max_statement_time = 0 */",
        "SET NAMES utf8mb4"};
    return o;
}

// What a load's mark says: the place where the log's strict part begins, and for a range where the range
// does.
struct Mark {
    std::uint64_t upper = 0, lower = 0;
};

constexpr std::string_view kFrom = " from ";

SnapshotMark mark_of(const LogPosition& upper, const std::optional<LogPosition>& lower) {
    std::string token = upper.token().token;
    if (lower) token += fmt::format("{}{}", kFrom, lower->order());
    return {std::move(token)};
}

bool is_range(const SnapshotMark& mark) { return mark.token.find(kFrom) != std::string::npos; }

std::optional<Mark> read_mark(const SnapshotMark& mark) {
    const auto at = mark.token.find(kFrom);
    const auto upper = parse_token({mark.token.substr(0, at)});
    if (!upper) return {};
    Mark out{upper->order(), upper->order()};
    if (at == std::string::npos) return out;
    const char *first = mark.token.data() + at + kFrom.size(), *last = mark.token.data() + mark.token.size();
    if (std::from_chars(first, last, out.lower).ptr != last) return {};
    return out;
}

Result<LoadLock> lock_of(const EndpointConfig& endpoint) {
    const std::string how = endpoint.attribute("snapshotmode", "auto");
    if (how == "auto") return LoadLock::automatic;
    if (how == "lock") return LoadLock::lock;
    if (how == "range") return LoadLock::range;
    return fail(ErrorCode::invalid_argument, "snapshotMode is '" + how + "': give auto, lock or range");
}

// Two replicas of one number throw each other out; the upper half is seldom given by hand.
std::uint32_t replica_id(const char* purpose, const std::string& task) {
    return static_cast<std::uint32_t>(stable_id(purpose, task) & 0x7fffffffU) | 0x80000000U;
}

Result<std::string> variable(Connection& c, const std::string& name) {
    const auto rows = GW_TRY(c.query("SHOW GLOBAL VARIABLES LIKE " + quote_literal(name)));
    return rows.size() == 0 ? std::string() : rows.text(0, 1);
}

// Whether there is no table of that name, for certain. A statement that makes, drops or alters one locks its
// name until the catalogue shows it; a listing of the catalogue waits for nobody. Where that takes longer
// than we wait, or the table cannot be opened: not known, false.
Result<bool> missing(Connection& c, const TableName& name) {
    GW_CHECK(c.run("SET SESSION lock_wait_timeout = 5"));
    const auto opened = c.run("SELECT 1 FROM " + quote_name(name.schema, name.table) + " LIMIT 0");
    const unsigned number = opened ? 0 : c.error_number();
    if (!opened && !c.healthy()) return std::unexpected(opened.error());
    GW_CHECK(c.run("SET SESSION lock_wait_timeout = DEFAULT"));
    return number == kNoSuchTable || number == kNoSuchDatabase;
}

// A stable name of the server, for positions. MariaDB makes its server_uid of the machine and the port, which
// a replica may take over; its server_id is another one.
Result<std::string> server_of(Connection& c) {
    if (!c.mariadb()) return variable(c, "server_uuid");
    return GW_TRY(variable(c, "server_uid")) + "/" + GW_TRY(variable(c, "server_id"));
}

std::unexpected<Error> switched_meanwhile() {
    return fail(ErrorCode::unavailable,
                "another server has taken the source's place: capture begins again there",
                Retry::from_checkpoint);
}

bool starts_with(const std::vector<std::string>& all, const std::vector<std::string>& first) {
    return std::ranges::mismatch(all, first).in2 == first.end();
}

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char b) { return std::toupper(b); });
    return text;
}

}  // namespace

ConnectOptions MySqlSource::connect_options() const {
    return options_of(endpoint_, "godwit/" + context_.task_id);
}

TypeOptions MySqlSource::type_options() const {
    TypeOptions o;
    o.tinyint1_as_boolean = endpoint_.flag("tinyint1asboolean", false);
    o.mariadb = traits_.facts.contains("mariadb");
    return o;
}

Result<Connection*> MySqlSource::control() {
    if (control_ && control_->healthy()) return &*control_;
    control_.emplace(GW_TRY(Connection::open(connect_options())));
    if (const auto& wrong = control_->script_error())
        context_.log->warning(
            Component::source_unload,
            fmt::format("{}: {}", endpoint_.scripts()[wrong->first].name, wrong->second.text()));
    auto server = server_of(*control_);
    if (!server) {
        control_.reset();
        return std::unexpected(std::move(server).error());
    }
    control_server_ = std::move(*server);
    return &*control_;
}

Result<ServerTraits> MySqlSource::open(bool capture) {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    traits_.family = "mysql";
    traits_.version = c->version();
    traits_.encoding = "UTF8";
    if (c->mariadb()) traits_.facts["mariadb"] = "yes";
    if (c->mariadb() ? c->version() < 100500 : c->version() < 50700)
        return fail(ErrorCode::unsupported,
                    fmt::format("{} {} is older than {}, the oldest that godwit reads",
                                c->mariadb() ? "MariaDB" : "MySQL", c->server_version_text(),
                                c->mariadb() ? "10.5" : "5.7"));
    traits_.system_id = control_server_;
    followed_.set_rules({type_options(), c->mariadb() || c->version() < kNoDisplayWidths},
                        endpoint_.flag("skiptablesuspensionforpartitionddl", false));
    capture_ = capture;
    GW_TRY(lock_of(endpoint_));
    if (!capture) return traits_;
    GW_TRY(endpoint_.refuses("cascade"));
    if (upper(GW_TRY(variable(*c, "log_bin"))) != "ON")
        return fail(
            ErrorCode::failed_precondition,
            "the source writes no binlog: set log_bin, server_id and binlog_format=ROW in its configuration "
            "and restart it");
    if (const auto format = upper(GW_TRY(variable(*c, "binlog_format"))); format != "ROW")
        return fail(ErrorCode::failed_precondition,
                    fmt::format("the source's binlog_format is {}; capturing changes needs ROW (SET GLOBAL "
                                "binlog_format = 'ROW'; it acts on sessions that begin afterwards)",
                                format));
    if (GW_TRY(variable(*c, "server_id")) == "0")
        return fail(ErrorCode::failed_precondition, "the source's server_id is 0: set it to another number");
    if (auto place = log_place(*c); !place) {
        if (place.error().code == ErrorCode::failed_precondition)
            return std::unexpected(std::move(place).error());
        return std::unexpected(std::move(place).error().with(
            c->mariadb()
                ? "reading the place of the binlog needs GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.*"
                : "reading the place of the binlog needs GRANT REPLICATION CLIENT, REPLICATION SLAVE ON "
                  "*.*"));
    }
    traits_.facts["binlog_row_image"] = upper(GW_TRY(variable(*c, "binlog_row_image")));
    return traits_;
}

Result<std::vector<TableSchema>> MySqlSource::tables(const Selection& selection) {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    auto found = GW_TRY(read_tables(*c, &selection, type_options()));
    for (const auto& t : found) selected_[t.name] = t.primary_key;
    keys_ = GW_TRY(read_foreign_keys(*c));
    const auto untold = bind_tables(found);
    if (target_family_ == traits_.family) followed_.follow_keys();
    if (capture_ && !std::exchange(warned_, true)) warn_of_cascades(untold);
    for (auto& t : found) followed_.number(t);
    GW_CHECK(read_extras(*c, found));
    return found;
}

Result<TableSchema> MySqlSource::read_numbered(Connection& c, const TableName& name) {
    auto table = GW_TRY(read_table(c, name, type_options()));
    followed_.number(table);
    return table;
}

Result<TableSchema> MySqlSource::describe_on(Connection& c, const TableName& name) {
    std::vector<TableSchema> one{GW_TRY(read_numbered(c, name))};
    keys_ = GW_TRY(read_foreign_keys(c));
    bind_tables(one);
    return std::move(one.front());
}

Result<TableSchema> MySqlSource::describe(const TableName& name) {
    const std::lock_guard lock(control_mutex_);
    return describe_on(*GW_TRY(control()), name);
}

Result<TableSchema> MySqlSource::describe_settled(const TableName& name) {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    GW_TRY(missing(*c, name));  // waits for the statement
    return describe_on(*c, name);
}

Result<TableSchema> MySqlSource::described(const Relation& relation) {
    auto known = followed_.described(relation);
    return known ? std::move(*known) : Source::described(relation);
}

// ---------------------------------------------------------------------------------------------- load

std::vector<std::string> MySqlSource::load_formats(const TableSchema& table) const {
    std::vector<std::string> out{std::string(kRowsLoad), std::string(kRowsCopy)};
    if (RowReader::make(table, kRowsBinary)) out.emplace_back(kRowsBinary);
    return out;
}

LoadSnapshot::Options MySqlSource::snapshot_options(std::uint32_t wait_s) const {
    LoadSnapshot::Options options;
    options.connect = connect_options();
    options.server = traits_.system_id;
    options.sessions =
        static_cast<unsigned>(std::clamp<std::int64_t>(endpoint_.number("loadsessions", 4), 1, 32));
    options.wait_s = wait_s;
    options.mark = capture_;
    options.replica_id = replica_id("godwit load", context_.task_id);
    options.wait_for_prepared = minds_prepared();
    return options;
}

Result<LoadContext> MySqlSource::take_snapshot(std::vector<TableName> tables, bool follow,
                                               std::uint32_t wait_s, std::stop_token stop) {
    auto options = snapshot_options(wait_s);
    options.how = GW_TRY(lock_of(endpoint_));
    options.may_range = follow;
    auto snapshot = GW_TRY(LoadSnapshot::take(options, tables, context_.log, stop));
    LoadContext out;
    if (capture_) {
        // Of which server is the mark? Who is taken over does not come back by himself.
        auto witness = GW_TRY(Connection::open(options.connect));
        if (GW_TRY(server_of(witness)) != traits_.system_id) return switched_meanwhile();
        const auto placed = [&](const LogPosition& place) {
            LogPosition p = certain(place);
            p.base = base_;
            return p;
        };
        const LogPosition upper = placed(snapshot->mark());
        std::optional<LogPosition> lower;
        if (snapshot->lower()) lower = placed(*snapshot->lower());
        out.start = placed(snapshot->start()).token();
        out.mark = mark_of(upper, lower);
    }
    const std::lock_guard lock(snapshots_mutex_);
    out.snapshot = fmt::format("view {}", next_snapshot_++);
    snapshots_.emplace(out.snapshot, std::move(snapshot));
    return out;
}

Result<LoadContext> MySqlSource::begin_load(const LoadRequest& request,
                                            const std::vector<TableSchema>& tables, std::stop_token stop) {
    if (request.only_resume) return LoadContext{};  // a view dies with its process
    std::vector<TableName> names;
    for (const auto& t : tables)
        if (!t.is_view) names.push_back(t.name);
    auto out = GW_TRY(take_snapshot(names, request.capture, request.wait_s_max, stop));
    if (request.capture) {
        const auto there = GW_TRY(same_since(tables, out));
        forget_log();
        capture(tables);
        GW_CHECK(loaded_from(there, out.mark));
        GW_CHECK(save_bookmark(out.start, true));
    }
    return out;
}

Result<LoadContext> MySqlSource::begin_table_load(const std::vector<TableSchema>& tables, bool follow,
                                                  std::uint32_t wait_s_max, std::stop_token stop) {
    std::vector<TableName> names;
    for (const auto& t : tables)
        if (!t.is_view) names.push_back(t.name);
    if (follow) {
        capture(tables);
        GW_CHECK(followed_.wait_known(std::chrono::seconds(wait_s_max), stop));
    }
    auto out = GW_TRY(take_snapshot(names, follow, wait_s_max, stop));
    if (follow) {
        const auto there = GW_TRY(same_since(tables, out));
        GW_CHECK(loaded_from(there, out.mark));
    }
    return out;
}

// The stream follows `tables` as they were described before the mark was taken. An ALTER in between is in no
// definition, and the log does not tell it again: rows behind the mark would be read by the older one.
Result<std::vector<TableName>> MySqlSource::same_since(const std::vector<TableSchema>& tables,
                                                       const LoadContext& load) {
    std::vector<TableName> out;
    if (!GW_RULE("mysql.same_at_mark")) {
        for (const auto& t : tables)
            if (!t.is_view) out.push_back(t.name);
        return out;
    }
    const auto same_column = [](const ColumnSchema& a, const ColumnSchema& b) {
        return a.name == b.name && a.native_type == b.native_type && a.collation == b.collation &&
               a.not_null == b.not_null && a.default_expression == b.default_expression &&
               a.generated == b.generated;
    };
    const auto same = [&](const TableSchema& a, const TableSchema& b) {
        return a.identity == b.identity && a.identity_columns == b.identity_columns &&
               a.primary_key == b.primary_key && std::ranges::equal(a.columns, b.columns, same_column);
    };
    const auto look = [&]() -> Result<std::vector<TableSchema>> {
        const std::lock_guard lock(control_mutex_);
        Connection* c = GW_TRY(control());
        if (tables.size() != 1) return read_tables(*c, nullptr, type_options());
        auto one = read_table(*c, tables.front().name, type_options());
        if (!one && one.error().code == ErrorCode::not_found) return std::vector<TableSchema>{};
        if (!one) return std::unexpected(std::move(one).error());
        return std::vector<TableSchema>{std::move(*one)};
    };
    const auto found = look();
    if (!found) {
        end_load(load);
        return std::unexpected(found.error());
    }
    std::map<TableName, const TableSchema*> now;
    for (const auto& t : *found) now[t.name] = &t;
    for (const auto& t : tables) {
        const auto it = now.find(t.name);
        // What is gone the load will say. That it was dropped the log tells, and is to be heard: the mark is
        // of no table.
        if (t.is_view || it == now.end()) continue;
        if (same(*it->second, t)) {
            out.push_back(t.name);
            continue;
        }
        end_load(load);
        return fail(
            ErrorCode::aborted,
            fmt::format("table {} was altered while its load began: the load begins again", t.name.text()),
            Retry::from_checkpoint);
    }
    return out;
}

Result<> MySqlSource::loaded_from(const std::vector<TableName>& tables, const SnapshotMark& mark) {
    const auto known = read_mark(mark);
    if (!known) return fail(ErrorCode::internal, "a mark that cannot be read");
    for (const auto& name : tables) followed_.loaded_from(name, known->lower);
    return followed_.save();
}

Result<std::shared_ptr<LoadSnapshot>> MySqlSource::snapshot_of(const LoadContext& load) {
    const std::lock_guard lock(snapshots_mutex_);
    const auto it = snapshots_.find(load.snapshot);
    if (it == snapshots_.end())
        return fail(ErrorCode::unavailable, "the snapshot of the load is gone", Retry::from_checkpoint);
    return it->second;
}

namespace {

// BIGINT and BIGINT UNSIGNED in one.
__extension__ typedef __int128 Wide;

std::string number_text(Wide value) {
    if (value == 0) return "0";
    const bool negative = value < 0;
    std::string digits;
    for (auto rest = negative ? -value : value; rest != 0; rest /= 10)
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    return negative ? "-" + digits : digits;
}

Wide number_of(std::string_view text) {
    const bool negative = text.starts_with('-');
    Wide value = 0;
    for (const char c : text.substr(negative ? 1 : 0)) value = value * 10 + (c - '0');
    return negative ? -value : value;
}

// Ranges are cut where the key's own index says that rows are: a range that holds too many is halved. Skewed
// keys so cost a few more questions and no scan.
Result<> cut(Connection& c, const std::string& table, const std::string& column, Wide low, Wide high,
             std::uint64_t rows_per_slice, int depth, std::vector<std::string>& boundaries) {
    if (high - low < 2 || depth == 0 || boundaries.size() + 1 >= kSlicesMax) return {};
    const auto plan = GW_TRY(c.query(fmt::format("EXPLAIN SELECT {0} FROM {1} WHERE {0} >= {2} AND {0} < {3}",
                                                 column, table, number_text(low), number_text(high))));
    const int rows = plan.find("rows");
    if (rows < 0 || plan.size() == 0) return {};
    if (plan.unsigned_number(0, static_cast<unsigned>(rows)) <= rows_per_slice) return {};
    const Wide middle = low + (high - low) / 2;
    GW_CHECK(cut(c, table, column, low, middle, rows_per_slice, depth - 1, boundaries));
    boundaries.push_back(number_text(middle));
    return cut(c, table, column, middle, high, rows_per_slice, depth - 1, boundaries);
}

}  // namespace

// A second unique key could refuse a row whose place an older one still has.
Result<> MySqlSource::check_range(Connection& c, const TableSchema& table) const {
    const auto keys = GW_TRY(
        c.query(fmt::format("SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS WHERE "
                            "TABLE_SCHEMA = {} AND TABLE_NAME = {} AND NON_UNIQUE = 0",
                            quote_literal(table.name.schema), quote_literal(table.name.table))));
    const auto image = traits_.facts.find("binlog_row_image");
    std::string why;
    if (table.primary_key.empty())
        why = "has no primary key";
    else if (table.identity != RowIdentity::key)
        why = "has a generated column in its primary key";
    else if (!table.bound_to.empty())
        why = "changes with others by its foreign keys";
    else if (keys.number(0, 0) != 1)
        why = "has more than one unique key";
    else if (image == traits_.facts.end() || image->second != "FULL")
        why = "has partial row images in the log";
    if (why.empty()) return {};
    return fail(
        ErrorCode::unsupported,
        fmt::format("table {} {} and so cannot be loaded without a lock: GRANT LOCK TABLES on its schema",
                    table.name.text(), why));
}

// A load has the server print the rows: what the log has of them must be readable, too.
Result<> MySqlSource::check_readable(Connection& c, const TableSchema& table) {
    const CharacterMaps maps = [&](std::string_view charset) { return characters_of(c, charset); };
    if (auto why = followed_.hopeless(table.name)) return fail(ErrorCode::unsupported, std::move(*why));
    if (c.mariadb()) {
        const auto hashed = GW_TRY(c.query(
            fmt::format("SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND "
                        "TABLE_NAME = {} AND NON_UNIQUE = 0 AND INDEX_TYPE = 'HASH' LIMIT 1",
                        quote_literal(table.name.schema), quote_literal(table.name.table))));
        if (hashed.size() != 0 && GW_TRY(variable(c, "binlog_row_metadata")) != "FULL")
            return fail(ErrorCode::unsupported,
                        fmt::format("the server keeps unique key {} of table {} as a hash, a column that the "
                                    "log has and the catalogue does not tell: SET GLOBAL "
                                    "binlog_row_metadata = 'FULL' on the source has the log name it",
                                    hashed.text(0, 0), table.name.text()));
    } else {
        const auto computed = GW_TRY(c.query(
            fmt::format("SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} "
                        "AND TABLE_NAME = {} AND COLUMN_NAME IS NULL LIMIT 1",
                        quote_literal(table.name.schema), quote_literal(table.name.table))));
        if (computed.size() != 0)
            return fail(ErrorCode::unsupported,
                        fmt::format("index {} of table {} is over an expression: the server keeps it as a "
                                    "column that the log has and the catalogue does not tell; index a "
                                    "generated column instead, or move the table with a full-load task",
                                    computed.text(0, 0), table.name.text()));
    }
    for (const auto& column : table.columns) {
        const auto type = GW_TRY(parse_type(column.native_type, column.collation));
        if (auto read = Transcoder::open(type.charset, maps); !read)
            return std::unexpected(std::move(read).error().with(
                fmt::format("column {} of table {}", column.name, table.name.text())));
        // servers that do not know the variable never say them
        if (labels_unsaid(type) && GW_TRY(variable(c, "binlog_row_metadata")) != "FULL")
            return fail(ErrorCode::unsupported, unsaid_labels(table.name, column.name));
    }
    return {};
}

Result<std::shared_ptr<const CharacterMap>> MySqlSource::characters_of(Connection& c,
                                                                       std::string_view charset) {
    if (const auto known = characters_.find(charset); known != characters_.end()) return known->second;
    auto read = GW_TRY(read_characters(c, charset));
    characters_.emplace(charset, read);
    return read;
}

Result<TableLoad> MySqlSource::open_table(const LoadContext& load, const TableName& name) {
    GW_TRY(snapshot_of(load));
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    TableLoad out;
    std::vector<TableSchema> one{GW_TRY(read_numbered(*c, name))};
    bind_tables(one);
    out.schema = std::move(one.front());
    out.leaves = {name};
    // A snapshot holds only what its engine keeps older versions of: of the others nobody knows which changes
    // the load already contains.
    if (capture_ && !out.schema.is_view) {
        const auto engine = GW_TRY(
            c->query(fmt::format("SELECT ENGINE, (SELECT TRANSACTIONS FROM information_schema.ENGINES e "
                                 "WHERE e.ENGINE = t.ENGINE) FROM "
                                 "information_schema.TABLES t WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                                 quote_literal(name.schema), quote_literal(name.table))));
        if (engine.size() == 1 && engine.text(0, 1) != "YES" && GW_RULE("mysql.transactional_engines"))
            return fail(
                ErrorCode::unsupported,
                fmt::format("table {} is of engine {}, which has no transactions: ALTER TABLE ... ENGINE = "
                            "InnoDB, or move it with a full-load task",
                            name.text(), engine.text(0, 0)));
    }
    if (capture_) GW_CHECK(check_cascade(name));
    if (capture_ && !out.schema.is_view) GW_CHECK(check_readable(*c, out.schema));
    if (is_range(load.mark) && GW_RULE("mysql.range_check")) GW_CHECK(check_range(*c, out.schema));
    std::vector<std::string> boundaries;
    const auto slice_bytes =
        static_cast<std::uint64_t>(std::max<std::int64_t>(1, endpoint_.number("slicekb", kSliceKb))) << 10;
    const std::uint64_t wanted =
        std::clamp<std::uint64_t>(out.schema.bytes_estimate / slice_bytes, 1, kSlicesMax / 2);
    if (wanted > 1 && !out.schema.primary_key.empty()) {
        const ColumnSchema* key = out.schema.column(out.schema.primary_key.front());
        const auto type = GW_TRY(parse_type(key->native_type, key->collation));
        if (type.kind <= TypeKind::bigint) {
            const std::string table = quote_name(name.schema, name.table);
            const std::string column = quote_name(key->name);
            const auto ends =
                GW_TRY(c->query(fmt::format("SELECT MIN({0}), MAX({0}) FROM {1}", column, table)));
            if (!ends.null(0, 0)) {
                const auto rows = std::max<std::uint64_t>(
                    1000,
                    static_cast<std::uint64_t>(std::max<std::int64_t>(0, out.schema.rows_estimate)) / wanted);
                GW_CHECK(cut(*c, table, column, number_of(ends.text(0, 0)), number_of(ends.text(0, 1)) + 1,
                             rows, 40, boundaries));
            }
        }
    }
    std::string low;
    for (const auto& b : boundaries) {
        out.slices.push_back({static_cast<std::uint32_t>(out.slices.size()), 0, low, b});
        low = b;
    }
    out.slices.push_back({static_cast<std::uint32_t>(out.slices.size()), 0, low, ""});
    return out;
}

Result<std::uint64_t> MySqlSource::read_slice(const LoadContext& load, const TableLoad& table,
                                              const Slice& slice, const std::string& format, LoadSink& sink,
                                              std::stop_token stop) {
    auto reader = GW_TRY(RowReader::make(table.schema, format));
    std::string where;
    if (!slice.low.empty() || !slice.high.empty()) {
        const std::string key = quote_name(table.schema.primary_key.front());
        if (!slice.low.empty()) where = fmt::format(" WHERE {} >= {}", key, slice.low);
        if (!slice.high.empty())
            where += fmt::format("{}{} < {}", where.empty() ? " WHERE " : " AND ", key, slice.high);
    }
    const std::string sql = fmt::format("SELECT {} FROM {}{}", reader.select_list(),
                                        quote_name(table.schema.name.schema, table.schema.name.table), where);
    auto snapshot = GW_TRY(snapshot_of(load));
    auto session = GW_TRY(snapshot->borrow(stop));
    ByteBuffer block;
    block.reserve(kBlockBytes + 4096);
    reader.begin(block);
    std::uint64_t in_block = 0;
    const auto printed = [&]() -> Result<> {
        ++in_block;
        if (block.size() < kBlockBytes) return {};
        auto wrote = sink.write(block.view(), in_block);
        block.clear();
        in_block = 0;
        return wrote;
    };
    const auto by_text = [&] {
        return session.stream(sql, stop, [&](const char* const* cells, const unsigned long* lengths) {
            reader.print(cells, lengths, block);
            return printed();
        });
    };
    // What a server does not prepare, or sends in a type that has no printer, comes as text.
    const auto packed = [&]() -> Result<std::uint64_t> {
        auto select = PreparedSelect::prepare(session, sql, stop);
        if (!select) return session.healthy() ? by_text() : std::unexpected(std::move(select).error());
        auto rows = reader.take_packed(select->columns())
                        ? select->stream(stop,
                                         [&](Bytes row) -> Result<> {
                                             if (reader.print_packed(row, block)) return printed();
                                             return fail(ErrorCode::data_loss, "the server's row is damaged",
                                                         Retry::from_checkpoint);
                                         })
                        : by_text();
        select->close();
        return rows;
    };
    auto outcome = reader.binary() ? packed() : by_text();
    const bool broken = !session.healthy();
    const unsigned number = session.error_number();
    snapshot->give_back(std::move(session));
    if (!outcome) {
        Error error = std::move(outcome).error();
        // the view is of this session only: what it held cannot be read again under the same mark
        if (broken && !stop.stop_requested() && error.retry == Retry::never &&
            (error.code == ErrorCode::unavailable || error.code == ErrorCode::internal)) {
            error.code = ErrorCode::unavailable;
            error.retry = Retry::from_checkpoint;
        }
        // Since the view was opened: this table is loaded anew, the others go on.
        if (number == kTableAltered) {
            error.code = ErrorCode::failed_precondition;
            error.retry = Retry::never;
        }
        return std::unexpected(std::move(error).with("table " + table.schema.name.text()));
    }
    reader.end(block);
    if (!block.empty()) GW_CHECK(sink.write(block.view(), in_block));
    return *outcome;
}

Result<> MySqlSource::close_table(const LoadContext&, const TableLoad& table) {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    const auto now = read_numbered(*c, table.schema.name);
    if (!now && now.error().code != ErrorCode::not_found) return std::unexpected(now.error());
    if (!now || now->columns != table.schema.columns)
        return fail(ErrorCode::failed_precondition,
                    "table " + table.schema.name.text() + " changed while it was read");
    return followed_.healed(table.schema.name);
}

void MySqlSource::end_load(const LoadContext& load) {
    const std::lock_guard lock(snapshots_mutex_);
    snapshots_.erase(load.snapshot);
}

// ---------------------------------------------------------------------------------------------- positions

Contained MySqlSource::contains(const SnapshotMark& mark, const Record& begin) const {
    const auto m = read_mark(mark);
    if (!m || !GW_RULE("mysql.mark_contains") || begin.order >= m->upper) return Contained::no;
    if (begin.order < m->lower) return Contained::yes;
    return GW_RULE("mysql.range_by_image") ? Contained::by_image : Contained::no;
}

bool MySqlSource::exact(const SnapshotMark& mark) const { return !is_range(mark); }

bool MySqlSource::passed(const SnapshotMark& mark, const Position& position) const {
    const auto m = read_mark(mark);
    const auto p = order(position);
    return m && p && *p >= m->upper;
}

Result<std::uint64_t> MySqlSource::order(const Position& position) const {
    if (position.empty()) return std::uint64_t{0};
    return GW_TRY(parse_token(position)).order();
}

Result<Position> MySqlSource::parse_position(const std::string& native) const {
    // begin_capture() looks for them in the log
    if (native.starts_with(kByGtids)) return Position{native};
    if (parse_time(native)) return Position{native};
    auto p = GW_TRY(parse_native(native));
    if (p.server.empty()) p.server = traits_.system_id;
    return p.token();
}

// ---------------------------------------------------------------------------------------------- changes

std::vector<std::string> MySqlSource::stream_formats() const {
    return {std::string(kCellsLoad), std::string(kCellsCopy)};
}

void MySqlSource::capture(const std::vector<TableSchema>& tables) {
    for (const auto& t : tables)
        if (!t.is_view && !t.full_load_only) followed_.follow(t);
}

// Capture begins anew, perhaps in a log that has been reset. The bookmark that is saved next makes it
// durable.
void MySqlSource::forget_log() {
    followed_.keep_in(in_folder(kHistory));
    std::error_code ignored;
    std::filesystem::remove(in_folder(kTakenBack), ignored);
}

void MySqlSource::recall_taken_back() {
    const auto kept = read_summed_file(in_folder(kTakenBack));
    if (!kept) return;
    ByteReader in(as_bytes(*kept));
    if (get_string(in) != traits_.system_id) return;
    [[maybe_unused]] auto ignored = decoder_->take_back(get_string(in));
}

Result<> MySqlSource::keep_taken_back() {
    ByteBuffer out;
    put_string(out, traits_.system_id);
    put_string(out, as_text(decoder_->taken_back_parts().view()));
    return write_summed_file(in_folder(kTakenBack), as_text(out.view()), true);
}

Result<> MySqlSource::save_bookmark(const Position& position, bool durable) {
    return write_file(in_folder(kBookmark), position.token, durable);
}

Result<LogPosition> MySqlSource::log_end(Connection& c, bool* gtids_known) {
    if (control_server_ != traits_.system_id) return switched_meanwhile();
    const auto now = GW_TRY(log_place(c));
    if (gtids_known != nullptr) *gtids_known = now.gtids.has_value();
    LogPosition out{traits_.system_id, now.file, now.offset, now.gtids.value_or(""), {}, 0};
    out.base = base_;
    return out;
}

// MySQL writes the log before gtid_executed: a set that is read beside a place lacks what is in between, and
// whoever goes on by it elsewhere gets that twice. MariaDB reads the set of a place out of the log.
LogPosition MySqlSource::certain(LogPosition position) const {
    if (!traits_.facts.contains("mariadb")) position.gtids.clear();
    return position;
}

LogPosition MySqlSource::taken_over(LogPosition position) const {
    // Where the GTIDs alone say where to begin, there is no server before this one.
    position.base = position.server.empty() ? 1 : position.base + file_number(position.file) + 1;
    return position;
}

// The GTIDs that stand before a MariaDB server's oldest binlog.
Result<MariadbGtidPosition> MySqlSource::before_oldest(Connection& c) {
    const auto files = GW_TRY(binlog_files(c));
    MariadbGtidPosition out;
    if (files.empty()) return out;
    const auto take = [&](const Event& event, std::uint64_t) -> Result<bool> {
        if (event.header.type == EventType::mariadb_gtid) return false;
        if (event.header.type != EventType::mariadb_gtid_list) return true;
        out = GW_TRY(read_mariadb_gtid_list(event.body));
        return false;
    };
    GW_CHECK(scan(files.front().first, take));
    return out;
}

Result<> MySqlSource::check_gtids(Connection& c, const LogPosition& position) {
    const auto lost = [&](const std::string& why) {
        return fail(ErrorCode::data_loss,
                    fmt::format("the task stands at position {}, and this source {}: start the task with "
                                "reload-target",
                                position.token().token, why));
    };
    if (position.gtids.empty())
        return lost("is another server; the position has no GTIDs by which its log could be gone on with");
    if (!position.open_file.empty() && !minds_prepared())
        return lost("is another server; a transaction was prepared and not decided there");
    const auto wanted = GtidSet::parse(position.gtids);
    const auto wanted_mariadb = MariadbGtidPosition::parse(position.gtids);
    if (c.mariadb() ? !wanted_mariadb : !wanted) return lost("cannot read its GTIDs");
    // A replica that was promoted may still be busy with what it has received.
    const auto until = context_.clock->steady() + kReplicaLag;
    for (;;) {
        const auto have =
            GW_TRY(c.query(c.mariadb() ? "SELECT @@global.gtid_binlog_pos"
                                       : "SELECT @@global.gtid_executed, @@global.gtid_purged"));
        if (c.mariadb()) {
            const auto there = GW_TRY(MariadbGtidPosition::parse(have.text(0, 0)));
            if (there.contains(*wanted_mariadb)) {
                if (wanted_mariadb->contains(GW_TRY(before_oldest(c)))) return {};
                return lost("has purged binlogs that follow it");
            }
        } else if (GW_TRY(GtidSet::parse(have.text(0, 0))).contains(*wanted)) {
            if (wanted->contains(GW_TRY(GtidSet::parse(have.text(0, 1))))) return {};
            return lost("has purged binlogs that follow it");
        }
        if (context_.clock->steady() > until)
            return lost(
                fmt::format("lacks a part of what is before it (has it applied all that it received? "
                            "{} must be on); its binlog holds {}",
                            c.mariadb() ? "log_slave_updates" : "log_replica_updates", have.text(0, 0)));
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
}

namespace {

using BinlogFiles = std::vector<std::pair<std::string, std::uint64_t>>;

bool holds(const BinlogFiles& files, const std::string& name) {
    return std::ranges::find(files, name, &BinlogFiles::value_type::first) != files.end();
}

}  // namespace

Result<> MySqlSource::check_place(Connection& c, const LogPosition& position) {
    const auto files = GW_TRY(binlog_files(c));
    const bool open = !position.open_file.empty() && (holds(files, position.open_file) || !minds_prepared());
    const std::string& wanted = open ? position.open_file : position.file;
    const std::uint64_t offset = open ? position.open_offset : position.offset;
    for (const auto& [file, bytes] : files) {
        if (file != wanted) continue;
        if (offset > bytes)
            return fail(
                ErrorCode::data_loss,
                fmt::format("binlog {} ends at {}, before position {}: was the server reset? Start the task "
                            "with reload-target",
                            file, bytes, offset));
        return {};
    }
    if (!files.empty() && file_number(wanted) > file_number(files.back().first))
        return fail(
            ErrorCode::data_loss,
            fmt::format("the source's binlog was reset: its newest file is {}, and the task stands in "
                        "{}; start the task with reload-target",
                        files.back().first, wanted));
    return fail(
        ErrorCode::data_loss,
        fmt::format("the source has purged binlog {}{}: start the task with reload-target, and keep binlogs "
                    "longer (binlog_expire_logs_seconds; on Amazon RDS: call mysql.rds_set_configuration("
                    "'binlog retention hours', 24))",
                    wanted, files.empty() ? "" : ", its oldest is " + files.front().first));
}

namespace {

// Both as the server prints them.
Result<bool> position_contains(const std::string& position, const std::string& other) {
    return GW_TRY(MariadbGtidPosition::parse(position)).contains(GW_TRY(MariadbGtidPosition::parse(other)));
}

// Can the log have come from `before` to `now`?
Result<bool> log_continues(bool mariadb, const std::string& now, const std::string& before) {
    if (mariadb)
        return GW_TRY(MariadbGtidPosition::parse(now)).continues(GW_TRY(MariadbGtidPosition::parse(before)));
    return GW_TRY(GtidSet::parse(now)).contains(GW_TRY(GtidSet::parse(before)));
}

}  // namespace

Result<> MySqlSource::check_same_log(Connection& c, const LogPosition& position) {
    if (!own(position) || position.gtids.empty() || !GW_RULE("mysql.same_log")) return {};
    const auto now = GW_TRY(log_place(c));
    bool same = !now.gtids || GW_TRY(log_continues(c.mariadb(), *now.gtids, position.gtids));
    if (same && c.mariadb()) {
        const auto before = GW_TRY(gtids_at(c, position.file, position.offset));
        if (before) same = GW_TRY(position_contains(position.gtids, *before));
        // behind a server that was taken over stands also what had come from it
        if (before && same && position.base == 0) same = GW_TRY(position_contains(*before, position.gtids));
    } else if (same) {
        auto reader = GW_TRY(Connection::open(connect_options()));
        DumpRequest request;
        request.from.gtids = position.gtids;
        request.by_gtid = true;
        request.server_id = replica_number();
        same = GW_TRY(executed_before(reader, request, position, {}));
    }
    if (same) return {};
    return fail(ErrorCode::data_loss,
                fmt::format("the source's binlog was reset: its transactions up to {}:{} are not those that "
                            "the task has read; start the task with reload-target",
                            position.file, position.offset));
}

// The end of a log only moves on.
Result<> MySqlSource::check_not_reset(const LogPosition& end, bool gtids_known) {
    const auto before = std::exchange(last_end_, end);
    if (!before || before->base != end.base || !GW_RULE("mysql.same_log")) return {};
    if (!gtids_known) last_end_->gtids = before->gtids;
    const bool mariadb = traits_.facts.contains("mariadb");
    if (end.order() >= before->order() &&
        (!gtids_known || GW_TRY(log_continues(mariadb, end.gtids, before->gtids))))
        return {};
    return fail(
        ErrorCode::data_loss,
        fmt::format("the source's binlog was reset: it ends at {}:{} now, and had ended at {}:{}; start "
                    "the task with reload-target",
                    end.file, end.offset, before->file, before->offset));
}

Result<Position> MySqlSource::begin_capture(const Position& from, const std::vector<TableSchema>& tables,
                                            std::stop_token stop) {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    for (const auto& t : tables) GW_CHECK(check_cascade(t.name));
    LogPosition start;
    base_ = 0;
    if (from.empty()) {
        if (control_server_ != traits_.system_id) return switched_meanwhile();
        start =
            certain(GW_TRY(end_without_prepared(*c, snapshot_options(kPreparedWaitS), context_.log, stop)));
    } else if (const auto time = parse_time(from.token)) {
        start = GW_TRY(start_by_time(*c, *time));
    } else if (from.token.starts_with(kByGtids)) {
        const auto wanted = GW_TRY(parse_native(from.token));
        start = GW_TRY(start_by_gtids(*c, wanted));
    } else {
        start = GW_TRY(parse_token(from));
        if (own(start))
            GW_CHECK(check_place(*c, start));
        else
            GW_CHECK(check_gtids(*c, start));
    }
    forget_log();
    capture(tables);
    GW_CHECK(followed_.save());
    const Position out = start.token();
    GW_CHECK(save_bookmark(out, true));
    return out;
}

Result<LogPosition> MySqlSource::bookmark() const {
    const auto kept = GW_TRY(read_file(in_folder(kBookmark)));
    return parse_token({kept});
}

Result<Source::History> MySqlSource::history_of(const Position& applied) {
    const auto position = GW_TRY(parse_token(applied));
    applied_ = applied;
    base_ = own(position) ? position.base : taken_over(position).base;
    if (!own(position)) {
        const std::lock_guard lock(control_mutex_);
        Connection* c = GW_TRY(control());
        GW_CHECK(check_gtids(*c, position));
        return History::other_server;
    }
    const auto kept = bookmark();
    return kept && !own(*kept) ? History::other_server : History::same_server;
}

Result<Position> MySqlSource::resume_capture(const std::vector<TableSchema>& tables) {
    auto kept = bookmark();
    if (!kept)
        return fail(
            ErrorCode::data_loss,
            fmt::format("{} is missing or unreadable, so nobody knows up to where the binlog was read: start "
                        "the task with reload-target ({})",
                        in_folder(kBookmark).string(), kept.error().text()));
    LogPosition position = std::move(*kept);
    // The places of two servers cannot be compared: what is applied is where to begin, neither more nor less.
    if (!own(position) && !applied_.empty()) position = GW_TRY(parse_token(applied_));
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    if (own(position)) {
        GW_CHECK(check_place(*c, position));
        GW_CHECK(check_same_log(*c, position));
        if (!applied_.empty()) {
            const auto applied = GW_TRY(parse_token(applied_));
            GW_CHECK(check_same_log(*c, applied));
        }
        base_ = position.base;
    } else {
        GW_CHECK(check_gtids(*c, position));
        base_ = taken_over(position).base;
    }
    std::vector<TableName> names;
    for (const auto& t : tables) names.push_back(t.name);
    if (const auto restored = followed_.restore(in_folder(kHistory), names); !restored)
        context_.log->warning(
            Component::source_capture,
            fmt::format(
                "the history of the tables' definitions is not there ({}): an ALTER in the part of the "
                "binlog that is not read yet may load its table anew",
                restored.error().text()));
    std::vector<TableSchema> others;
    for (const auto& t : tables)
        if (!followed_.follows(t.name)) others.push_back(t);
    capture(others);
    GW_CHECK(followed_.save());
    GW_CHECK(save_bookmark(position.token(), true));
    return position.token();
}

namespace {

// Between the decoder and the engine's log, on the thread that streams: keeps the bookmark.
class BookmarkingSink final : public ForwardingSink {
public:
    using Save = std::function<Result<>(const Position&)>;
    BookmarkingSink(ChangeSink& next, godwit::Clock& clock, Save save)
        : ForwardingSink(next), clock_(clock), save_(std::move(save)) {}

    Result<> idle() override {
        GW_CHECK(keep());
        return next_.idle();
    }

    // at most once a second, and at the end
    Result<> keep(bool now = false) {
        const auto t = clock_.steady();
        if (!now && t - saved_at_ < std::chrono::seconds(1)) return {};
        saved_at_ = t;
        const Position position = next_.acknowledged();
        if (position.empty() || position == saved_) return {};
        GW_CHECK(save_(position));
        saved_ = position;
        return {};
    }

private:
    godwit::Clock& clock_;
    const Save save_;
    Position saved_;
    SteadyTime saved_at_{};
};

}  // namespace

Result<> MySqlSource::stream(const Position& from, ChangeSink& sink, std::stop_token stop) {
    auto connect = connect_options();
    connect.read_timeout_s = 30;  // heartbeats come every second: a silent peer is dead
    auto connection = GW_TRY(Connection::open(connect));
    if (GW_TRY(server_of(connection)) != traits_.system_id) return switched_meanwhile();
    const Dialect dialect = stream_format_ == kCellsCopy ? Dialect::copy : Dialect::load;
    followed_.begin_stream(GW_TRY(order(from)));  // from here on the decoder is told of other tables
    if (!decoder_) {
        BinlogOptions options;
        options.server_uuid = traits_.system_id;
        options.rows.dialect = dialect;
        options.rows.mariadb = connection.mariadb();
        options.rows.characters =
            [this](std::string_view charset) -> Result<std::shared_ptr<const CharacterMap>> {
            const std::lock_guard lock(control_mutex_);
            return characters_of(*GW_TRY(control()), charset);
        };
        options.count_gtids =
            !connection.mariadb() && upper(GW_TRY(variable(connection, "gtid_mode"))) == "ON";
        options.all_prepared_seen = minds_prepared();
        decoder_ = std::make_unique<BinlogDecoder>(followed_, options);
        recall_taken_back();
    } else {
        decoder_->set_dialect(dialect);
    }
    DumpRequest request;
    request.from = GW_TRY(parse_token(from));
    request.by_gtid = !own(request.from);
    if (request.by_gtid) {
        // What is applied would come a second time, with places of this server.
        if (!applied_.empty() && GW_TRY(order(from)) < GW_TRY(order(applied_)))
            request.from = GW_TRY(parse_token(applied_));
        request.from = taken_over(std::move(request.from));
        context_.log->info(Component::source_capture,
                           fmt::format("another server has written position {}: its log is gone on with on "
                                       "server {} by GTIDs",
                                       from.token, traits_.system_id));
    }
    LogPosition& begin = request.from;
    if (!begin.open_file.empty() && minds_prepared() &&
        (request.by_gtid || !holds(GW_TRY(binlog_files(connection)), begin.open_file))) {
        context_.log->warning(
            Component::source_capture,
            fmt::format(
                "a transaction was prepared (XA) at {}:{} and not decided, and the source does not have "
                "that place: should it be committed, the tables are loaded anew",
                begin.open_file, begin.open_offset));
        begin.open_file.clear();
        begin.open_offset = 0;
    }
    base_ = begin.base;
    request.server_id = replica_number();
    BookmarkingSink bookmarking(sink, *context_.clock, [this](const Position& position) -> Result<> {
        GW_CHECK(save_bookmark(position, true));
        GW_FAILPOINT("binlog.bookmarked");
        // behind it: a bookmark must not be older than the first definition
        return followed_.acknowledged(GW_TRY(order(position)));
    });
    auto outcome = run_dump(connection, request, *decoder_, bookmarking, stop);
    followed_.end_stream();
    // The engine has seen a part of what was taken back: it is the next process that reads it without.
    if (!outcome && outcome.error().code == ErrorCode::aborted) GW_CHECK(keep_taken_back());
    if (auto kept = bookmarking.keep(true); outcome && !kept) return kept;
    return outcome;
}

Result<SourceHealth> MySqlSource::health() {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    SourceHealth out;
    if (capture_) {
        bool gtids_known = false;
        const LogPosition end = GW_TRY(log_end(*c, &gtids_known));
        GW_CHECK(check_not_reset(end, gtids_known));
        out.log_end = end.token();
    }
    const auto clock = GW_TRY(c->query("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)"));
    out.clock_us = clock.number(0, 0);
    return out;
}

Result<std::vector<CatalogueChange>> MySqlSource::poll_catalogue(const Selection& selection,
                                                                 const std::vector<TableSchema>& known) {
    const std::lock_guard lock(control_mutex_);
    Connection* c = GW_TRY(control());
    auto found = GW_TRY(read_tables(*c, &selection, type_options()));
    for (auto& t : found) {
        followed_.number(t);
        selected_[t.name] = t.primary_key;
    }
    std::map<TableName, const TableSchema*> by_name;
    for (const auto& t : found) by_name[t.name] = &t;
    std::set<TableName> dropped;
    for (const auto& t : known)
        if (!by_name.contains(t.name) && (t.is_view || GW_TRY(missing(*c, t.name)))) dropped.insert(t.name);
    // Behind it: what the catalogue shows was written to the log before this place.
    Position seen;
    if (capture_) seen = GW_TRY(log_end(*c)).token();
    std::vector<CatalogueChange> changes;
    const auto report = [&](CatalogueChange::Kind kind, const TableSchema& t) -> CatalogueChange& {
        CatalogueChange change;
        change.kind = kind;
        change.table = t.name;
        change.seen_at = seen;
        change.source_id = t.source_id;
        return changes.emplace_back(std::move(change));
    };
    std::set<TableName> names;
    const auto unsure = followed_.unsure();
    for (const auto& t : known) {
        names.insert(t.name);
        followed_.followed_by_target(t);
        const auto it = by_name.find(t.name);
        if (it == by_name.end()) {
            // `known` may also hold what the selection never wanted
            if (!dropped.contains(t.name) || !selection.selects(t.name, t.is_view)) continue;
            // for a process that begins before the engine has left it, and finds one of that name
            if (capture_) {
                const auto at = GW_TRY(order(seen));
                GW_CHECK(followed_.table_unsure(t.name, at, kMadeAgain));
            }
            gone_[t.name] = seen;
            report(CatalogueChange::Kind::table_dropped, t);
            continue;
        }
        if (const auto gone = gone_.find(t.name); gone != gone_.end()) {
            // The engine leaves the one before yet, and this one joins behind that. It does not leave a table
            // that waits for its load: that load, begun behind the place, has brought this one; where there
            // was none it is to be left now.
            if (!followed_.loaded_behind(t.name, GW_TRY(order(gone->second)))) {
                report(CatalogueChange::Kind::table_dropped, t).seen_at = gone->second;
                continue;
            }
            gone_.erase(gone);
        }
        const auto doubt = std::ranges::find(unsure, t.name, &FollowedTables::Unsure::name);
        if (doubt != unsure.end() && say_doubt(*doubt)) {
            auto& change = report(CatalogueChange::Kind::rows_changed, t);
            change.reason = fmt::format("table {}: {}", t.name.text(), doubt->why);
            change.schema = std::make_shared<const TableSchema>(*it->second);
        } else if (it->second->columns != t.columns) {
            report(CatalogueChange::Kind::table_altered, t).schema =
                std::make_shared<const TableSchema>(*it->second);
        }
    }
    std::erase_if(gone_, [&](const auto& gone) { return !names.contains(gone.first); });
    for (const auto& t : found)
        if (!names.contains(t.name) && !t.is_view) report(CatalogueChange::Kind::table_added, t);
    return changes;
}

// A doubt stays until a load heals it; who has heard of it need not hear it every time.
bool MySqlSource::say_doubt(const FollowedTables::Unsure& doubt) {
    const auto now = context_.clock->steady();
    const auto [at, first] = doubted_.try_emplace(doubt.name, doubt.order, now);
    if (!first && at->second.first == doubt.order && now - at->second.second < kDoubtAgain) return false;
    at->second = {doubt.order, now};
    return true;
}

Result<LogPosition> MySqlSource::start_by_gtids(Connection& c, LogPosition position) {
    // Behind it may come what the file before it holds as well: the order must be below all of that.
    const auto files = GW_TRY(binlog_files(c));
    if (files.empty()) return fail(ErrorCode::failed_precondition, "the source writes no binlog");
    position.server.clear();
    position.file = files.front().first;
    position.offset = kFirstOffset;
    GW_CHECK(check_gtids(c, position));
    return position;
}

namespace {

// When the transaction that begins with this event was committed; nothing: none begins.
Result<std::optional<std::int64_t>> begins_at(const Event& event) {
    std::int64_t time_us = 0;
    if (event.header.type == EventType::gtid || event.header.type == EventType::anonymous_gtid ||
        event.header.type == EventType::gtid_tagged)
        time_us = static_cast<std::int64_t>(GW_TRY(read_gtid(event)).commit_time_us);
    else if (event.header.type != EventType::mariadb_gtid)
        return std::nullopt;
    return time_us != 0 ? time_us : std::int64_t{event.header.timestamp} * 1'000'000;
}

}  // namespace

std::vector<ForeignKeyState> MySqlSource::bind_tables(std::vector<TableSchema>& tables) const {
    std::vector<ForeignKeyState> untold;
    const bool likewise = target_family_ == traits_.family;
    const auto schema_of = [&](const TableName& name) {
        const auto at = std::ranges::find(tables, name, &TableSchema::name);
        return at == tables.end() ? nullptr : &*at;
    };
    for (const auto& key : keys_) {
        if (!key.acts()) continue;
        TableSchema *child = schema_of(key.table), *parent = schema_of(key.parent);
        const auto at = selected_.find(key.parent);
        const bool both = at != selected_.end() && selected_.contains(key.table);
        if (capture_ && likewise && both && child != nullptr) child->bound_to.push_back(key.parent);
        if (capture_ && likewise && both && parent != nullptr) parent->bound_to.push_back(key.table);
        if (child == nullptr) continue;
        // A target that creates the tables can refer to their primary keys only.
        const bool told = likewise && (!both || starts_with(at->second, key.parent_columns));
        if (told) child->acting_keys.push_back({key.name, key.parent, key.definition()});
        if (!told || !both) untold.push_back(key);
    }
    return untold;
}

void MySqlSource::warn_of_cascades(const std::vector<ForeignKeyState>& keys) {
    std::string list;
    for (const auto& k : keys)
        list += fmt::format("{}{} (of {})", list.empty() ? "" : ", ", k.table.text(), k.parent.text());
    if (!list.empty())
        context_.log->warning(
            Component::source_capture,
            fmt::format(
                "rows that a foreign key changes are not in the source's binlog (ON DELETE or ON UPDATE "
                "CASCADE, SET NULL): changes of a parent leave these tables behind: {}; reload them, or "
                "refuse them with cascade=fail",
                list));
}

Result<> MySqlSource::check_cascade(const TableName& name) const {
    if (!GW_TRY(endpoint_.refuses("cascade"))) return {};
    std::vector<TableSchema> one(1);
    one.front().name = name;
    const auto untold = bind_tables(one);
    if (untold.empty()) return {};
    return fail(
        ErrorCode::unsupported,
        fmt::format("rows of table {} are changed by its foreign key to {} without a trace in the binlog, "
                    "and cascade=fail is set: move it with a full-load task, or set cascade=warn",
                    name.text(), untold.front().parent.text()));
}

std::uint32_t MySqlSource::replica_number() const { return replica_id("godwit", context_.task_id); }

Result<> MySqlSource::scan(const std::string& file, const TakeEvent& take) {
    auto connection = GW_TRY(Connection::open(connect_options()));
    return scan_file(connection, file, replica_number(), take);
}

Result<LogPosition> MySqlSource::start_by_time(Connection& c, std::int64_t time_us) {
    const auto clock = GW_TRY(c.query("SELECT UNIX_TIMESTAMP()"));
    if (time_us > clock.number(0, 0) * 1'000'000)
        return fail(ErrorCode::invalid_argument, "CdcStartTime lies in the future of the source's clock");
    const LogPosition end = GW_TRY(log_end(c));
    const auto files = GW_TRY(binlog_files(c));
    const auto begins_before = [&](std::size_t i) -> Result<bool> {
        std::int64_t made_s = 0;
        const auto take = [&](const Event& event, std::uint64_t) -> Result<bool> {
            made_s = event.header.timestamp;  // the format description's
            return false;
        };
        GW_CHECK(scan(files[i].first, take));
        return made_s < time_us / 1'000'000;
    };
    std::size_t low = 0, high = files.size();  // the last that was begun before the time is in [low, high)
    while (high - low > 1) {
        const std::size_t middle = (low + high) / 2;
        (GW_TRY(begins_before(middle)) ? low : high) = middle;
    }
    if (low == 0 && !files.empty() && file_number(files[0].first) > 1 && !GW_TRY(begins_before(0)))
        return fail(ErrorCode::data_loss,
                    fmt::format("the source has purged its binlogs of that time: its oldest, {}, was begun "
                                "later",
                                files[0].first));
    LogPosition start = end;
    for (std::size_t i = low; i < files.size() && start == end; ++i) {
        const auto take = [&](const Event& event, std::uint64_t offset) -> Result<bool> {
            const auto at = GW_TRY(begins_at(event));
            if (!at || *at < time_us) return true;
            start.file = files[i].first;
            start.offset = offset;
            return false;
        };
        GW_CHECK(scan(files[i].first, take));
    }
    start.gtids.clear();
    context_.log->info(Component::source_capture,
                       fmt::format("the first transaction at or after the start time is at {}:{}", start.file,
                                   start.offset));
    return start;
}

Result<Position> MySqlSource::recovery_position(const Position& applied) {
    const auto p = GW_TRY(parse_token(applied));
    // a commit (-1) that ends there, the transaction's number, the first event behind it
    const std::uint64_t transaction = (file_number(p.file) << 32U) + p.offset;
    return Position{fmt::format("{0}:{1}:-1:{1}:{2}:{0}:{1}", p.file, p.offset, transaction)};
}

// ---------------------------------------------------------------------------------------------- comparison

namespace {

std::vector<DigestColumn> digest_columns(const TableSchema& table, DigestForm form,
                                         const std::vector<std::string>* only = nullptr) {
    std::vector<DigestColumn> out;
    for (const auto& c : table.columns) {
        if (c.generated || (only != nullptr && std::ranges::find(*only, c.name) == only->end())) continue;
        out.push_back({c.name, c.native_type.substr(0, c.native_type.find_first_of(" (")),
                       form == DigestForm::portable ? c.portable : PortableType{}});
    }
    return out;
}

}  // namespace

Result<TableDigest> MySqlSource::digest(const LoadContext& load, const TableSchema& table, DigestForm form,
                                        std::stop_token stop) {
    auto snapshot = GW_TRY(snapshot_of(load));
    auto session = GW_TRY(snapshot->borrow(stop));
    auto rows = session.query(
        digest_sql(quote_name(table.name.schema, table.name.table), digest_columns(table, form)), stop);
    snapshot->give_back(std::move(session));
    if (!rows) return std::unexpected(std::move(rows).error().with("table " + table.name.text()));
    return TableDigest{rows->unsigned_number(0, 0), rows->text(0, 1)};
}

Result<std::vector<KeyDigest>> MySqlSource::key_digests(const LoadContext& load, const TableSchema& table,
                                                        std::uint32_t bucket, std::uint32_t buckets,
                                                        DigestForm form, std::stop_token stop) {
    auto snapshot = GW_TRY(snapshot_of(load));
    auto session = GW_TRY(snapshot->borrow(stop));
    auto rows = session.query(
        key_digest_sql(quote_name(table.name.schema, table.name.table), digest_columns(table, form),
                       table.primary_key.empty() ? std::vector<DigestColumn>{}
                                                 : digest_columns(table, form, &table.primary_key),
                       bucket, buckets),
        stop);
    snapshot->give_back(std::move(session));
    if (!rows) return std::unexpected(std::move(rows).error().with("table " + table.name.text()));
    std::vector<KeyDigest> out;
    for (std::size_t i = 0; i < rows->size(); ++i) out.push_back({rows->text(i, 0), rows->text(i, 1)});
    return out;
}

Result<> MySqlSource::drop_capture() {
    std::error_code ignored;
    for (const char* file : {kBookmark, kHistory, kTakenBack})
        std::filesystem::remove(in_folder(file), ignored);
    return {};
}

// ---------------------------------------------------------------------------------------------- registration

Result<std::unique_ptr<Source>> make_source(const EndpointConfig& endpoint, const TaskContext& context) {
    return std::make_unique<MySqlSource>(endpoint, context);
}

Result<ProbeResult> probe(const EndpointConfig& endpoint) {
    auto c = GW_TRY(Connection::open(options_of(endpoint, "godwit/probe")));
    ProbeResult result;
    result.traits.family = "mysql";
    result.traits.version = c.version();
    const auto rows = GW_TRY(c.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1"));
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (!is_system_schema(rows.text(i, 0))) result.schemas.push_back(rows.text(i, 0));
    return result;
}

Result<> check_position(const std::string& native) {
    if (!parse_time(native)) GW_TRY(parse_native(native));
    return {};
}

}  // namespace godwit::mysql
