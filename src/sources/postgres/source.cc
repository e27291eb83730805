#include "sources/postgres/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "base/failpoint.h"
#include "codecs/pg/describe.h"
#include "codecs/pg/digest.h"
#include "sources/postgres/artifacts.h"
#include "sources/postgres/catalogue.h"
#include "sources/postgres/connect.h"
#include "sources/postgres/log_stream.h"
#include "sources/postgres/pgoutput.h"
#include "sources/postgres/portable_sink.h"
#include "sources/postgres/publications.h"
#include "sources/postgres/slot.h"
#include "sources/postgres/test_decoding.h"

namespace godwit::postgres {
namespace {

constexpr std::string_view kMarkPrefix = "lsn:";
constexpr std::uint64_t kSlicesPerLeafMax = 1U << 18;  // slice numbers: leaf in the upper 14 bits
constexpr std::size_t kLeavesMax = 1U << 14;
constexpr std::size_t kBlockBytes = 64U << 10;  // rows are joined to blocks of this size

Result<Lsn> mark_lsn(const SnapshotMark& mark) {
    if (!mark.token.starts_with(kMarkPrefix))
        return fail(ErrorCode::data_loss, "snapshot mark '" + mark.token + "' is not of this source");
    return parse_lsn(std::string_view(mark.token).substr(kMarkPrefix.size()));
}

std::string plugin_of(const EndpointConfig& endpoint) {
    std::string p;
    for (const char c : endpoint.attribute("pluginname"))
        p += c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (p == "test_decoding") return p;
    return "pgoutput";  // also for no_preference, and in place of pglogical
}

class WaitsForLocks {
public:
    explicit WaitsForLocks(pg::Connection& session) : session_(session) {}
    WaitsForLocks(const WaitsForLocks&) = delete;
    WaitsForLocks& operator=(const WaitsForLocks&) = delete;
    ~WaitsForLocks() {
        if (session_.healthy()) [[maybe_unused]]
            auto ignored = session_.run("SET lock_timeout = 0");
    }

private:
    pg::Connection& session_;
};

bool publishes(const ForeignPublication& publication, const TableName& name) {
    return !publication.limited.contains(name) &&
           std::ranges::find(publication.tables, name) != publication.tables.end();
}

// Of tables of that identity.
bool publishes_all(const ForeignPublication& publication, RowIdentity identity) {
    return publication.inserts && publication.truncates &&
           (identity == RowIdentity::none || (publication.updates && publication.deletes));
}

// Not by a key: every column names its rows, also those that are added.
bool by_whole_row(const TableSchema& t) {
    return t.identity == RowIdentity::full && t.identity_columns != t.primary_key;
}

// By their numbers: a name that has changed names the same rows.
std::vector<std::int32_t> identity_numbers(const TableSchema& t) {
    std::vector<std::int32_t> out;
    for (const auto& name : t.identity_columns) {
        const ColumnSchema* column = t.column(name);
        out.push_back(column == nullptr ? -1 : column->number);
    }
    return out;
}

// Changes of either are applied alike. Whether whole old rows come with a key says nothing of it.
bool same_names(const TableSchema& a, const TableSchema& b) {
    return by_whole_row(a) == by_whole_row(b) &&
           (by_whole_row(a) || identity_numbers(a) == identity_numbers(b));
}

// `now` for the records that still come of a table whose catalogue has said `before`. What was logged while
// it had an identity is applied by that one, though it has none any more; and only where both say so, an old
// row is taken for a whole one.
TableSchema as_logged(const TableSchema& before, TableSchema now) {
    const bool lost = now.identity == RowIdentity::none && before.identity != RowIdentity::none;
    if (!lost && !(now.identity == RowIdentity::full && before.identity == RowIdentity::key)) return now;
    now.identity = before.identity;
    now.identity_columns = before.identity_columns;
    return now;
}

}  // namespace

Result<pg::Connection> PostgresSource::session(const std::string& role) const {
    auto options = source_options(endpoint_, context_.task_id, role);
    return pg::Connection::open(options);
}

Result<pg::Connection*> PostgresSource::control() {
    if (control_ && control_->healthy()) return &*control_;
    control_ = GW_TRY(session("control"));
    return &*control_;
}

Result<ServerTraits> PostgresSource::open(bool capture) {
    const std::lock_guard lock(control_mutex_);
    KeeperClient::end_others(context_.task_folder, "keeper");  // of single tables: their loads begin anew
    pg::Connection* c = GW_TRY(control());
    traits_.family = "postgres";
    traits_.version = c->server_version();
    if (traits_.version < 130000)
        return fail(ErrorCode::unsupported,
                    fmt::format("PostgreSQL {} is older than 13, the oldest that godwit reads",
                                traits_.version / 10000));
    const auto facts = GW_TRY(c->query(
        "SELECT pg_catalog.getdatabaseencoding(), pg_catalog.current_setting('lc_monetary'), "
        "pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('max_replication_slots')::int, "
        "pg_catalog.current_setting('max_wal_senders')::int, "
        "pg_catalog.current_setting('wal_sender_timeout'), "
        "(SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), "
        "(SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'), "
        "pg_catalog.pg_is_in_recovery()"));
    traits_.encoding = facts.text(0, 0);
    traits_.facts["lc_monetary"] = "C";  // every session of ours sets it
    if (auto system = c->query("SELECT system_identifier FROM pg_catalog.pg_control_system()"))
        traits_.system_id = system->text(0, 0);
    if (!capture) return traits_;
    if (facts.text(0, 2) != "logical")
        return fail(
            ErrorCode::failed_precondition,
            fmt::format(
                "the source's wal_level is '{}'; capturing changes needs wal_level=logical (ALTER SYSTEM "
                "SET wal_level = 'logical', then restart the source)",
                facts.text(0, 2)));
    if (facts.number(0, 3) < 1 || facts.number(0, 4) < 1)
        return fail(
            ErrorCode::failed_precondition,
            "the source's max_replication_slots and max_wal_senders must leave room for one slot per task");
    if (const auto ms = facts.number(0, 7); ms != 0 && ms < 10000)
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("the source's wal_sender_timeout is {} ms; it must be 0 or at least 10000 ms", ms));
    if (!facts.flag(0, 6) && traits_.facts.contains("rds") == false) {
        // on managed servers membership of rds_replication replaces the attribute
        const auto member = c->query(
            "SELECT count(*) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid "
            "= m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member WHERE u.rolname = "
            "current_user AND r.rolname IN ('rds_replication', 'rds_superuser', "
            "'cloudsqlsuperuser', 'azure_pg_admin')");
        if (!member || member->number(0, 0) == 0)
            return fail(
                ErrorCode::permission_denied,
                fmt::format("user {0} may not replicate: ALTER ROLE {0} REPLICATION (on Amazon RDS: GRANT "
                            "rds_replication TO {0})",
                            pg::quote_name(endpoint_.user)));
    }
    // the control file names the old timeline until the first checkpoint after a promotion
    auto replication =
        GW_TRY(pg::Connection::open(source_options(endpoint_, context_.task_id, "identify", true)));
    const auto self = GW_TRY(replication.query("IDENTIFY_SYSTEM"));
    traits_.system_id = self.text(0, 0);
    traits_.timeline = static_cast<std::uint32_t>(self.number(0, 1));
    return traits_;
}

Result<std::vector<TableSchema>> PostgresSource::tables(const Selection& selection) {
    const std::lock_guard lock(control_mutex_);
    pg::Connection* c = GW_TRY(control());
    auto found = GW_TRY(read_tables(*c, &selection, partitions_as_root()));
    GW_CHECK(read_extras(*c, found));
    for (auto& t : found) in_portable_words(t);
    return found;
}

// The constant that rows older than a column have is the server's own spelling of it. Another engine takes a
// number and a bounded text in an ALTER as they stand; of all else the rows have to come by a load.
void PostgresSource::in_portable_words(TableSchema& table) const {
    add_portable_types(table, portable_options());
    if (target_family_.empty() || target_family_ == traits_.family) return;
    for (auto& c : table.columns) {
        if (!c.missing_value) continue;
        const auto kind = c.portable.kind;
        const bool number = (kind >= PortableKind::int1 && kind <= PortableKind::numeric) &&
                            c.missing_value->find_first_not_of("-.0123456789") == std::string::npos;
        const bool text = c.native_type.starts_with("character varying(") && c.missing_value->size() < 255;
        if (!number && !text) c.missing_differs = true;
    }
}

Result<TableSchema> PostgresSource::describe(const TableName& name) {
    const std::lock_guard lock(control_mutex_);
    pg::Connection* c = GW_TRY(control());
    auto found = GW_TRY(read_table(*c, name));
    in_portable_words(found);
    return found;
}

std::vector<std::string> PostgresSource::load_formats(const TableSchema&) const {
    return {"pg.binary", "pg.csv", std::string(kRowsCopy)};
}

std::vector<std::string> PostgresSource::stream_formats() const {
    return {"pg.binary", "pg.text", std::string(kCellsCopy)};
}

// ---------------------------------------------------------------------------------------------- slot

std::optional<PostgresSource::SlotRecord> PostgresSource::read_slot_record() const {
    const auto text = read_file(std::filesystem::path(context_.task_folder) / "slot");
    if (!text) return std::nullopt;
    std::istringstream in(*text);
    SlotRecord r;
    std::string line;
    std::getline(in, line);
    std::istringstream(line) >> r.name >> r.plugin;
    if (r.name.empty()) return std::nullopt;
    std::getline(in, r.host);
    if (std::getline(in, line)) std::from_chars(line.data(), line.data() + line.size(), r.port);
    std::getline(in, r.database);
    return r;
}

// Of the task's own, with its publications. The endpoint may name another server since, or the same one by
// another name: nobody else's slot has this name.
Result<> PostgresSource::drop_own_slot(const SlotRecord& slot) {
    pg::Connection* c = GW_TRY(control());
    const bool found = GW_TRY(inspect_slot(*c, slot.name)).has_value();
    GW_CHECK(drop_slot(*c, slot.name, "godwit/" + context_.task_id, *context_.clock, {}));
    GW_CHECK(drop_publications(*c, slot.name));
    const bool same_database = slot.database.empty() || slot.database == endpoint_.database;
    const bool same_server =
        found || slot.database.empty() || (slot.host == endpoint_.host && slot.port == endpoint_.port);
    if (same_server && same_database) return {};
    const auto names = publication_names(slot.name);
    const auto left = same_server ? "" : fmt::format("SELECT pg_drop_replication_slot('{}'); ", slot.name);
    context_.log->warning(
        Component::source_capture,
        fmt::format("the source endpoint has changed: what this task made on {}:{}, database \"{}\", is left "
                    "there, and {}. Unless it is gone, drop it there by hand: {}DROP PUBLICATION \"{}\", "
                    "\"{}\"",
                    slot.host, slot.port, slot.database,
                    same_server ? "its publications may hinder updates"
                                : "its replication slot keeps that server's log for ever",
                    left, names.all, names.inserts));
    return {};
}

Result<PostgresSource::SlotRecord> PostgresSource::slot_record(bool fresh) {
    if (slot_ && !fresh) return *slot_;
    const auto path = std::filesystem::path(context_.task_folder) / "slot";
    const auto made = read_slot_record();
    if (const auto user_slot = endpoint_.attribute("slotname"); !user_slot.empty()) {
        if (made && made->name != user_slot && !fresh)
            return fail(
                ErrorCode::failed_precondition,
                fmt::format("this task goes on from replication slot \"{}\", which it made itself, and "
                            "SlotName names \"{}\" now: start it with reload-target, which changes "
                            "over, or leave SlotName out",
                            made->name, user_slot));
        pg::Connection* c = GW_TRY(control());
        auto info = GW_TRY(inspect_slot(*c, user_slot));
        if (!info)
            return fail(ErrorCode::not_found,
                        fmt::format("replication slot \"{}\" (SlotName) does not exist on the "
                                    "source; create it first, or leave SlotName out",
                                    user_slot));
        // Not asking for streamed changes does not avoid it, so the user has to want this plugin by its name.
        if (info->plugin == "test_decoding" && traits_.version >= 180000 &&
            plugin_of(endpoint_) != "test_decoding")
            return fail(
                ErrorCode::failed_precondition,
                fmt::format(
                    "replication slot \"{}\" uses test_decoding, which crashes a server of version 18 when "
                    "a transaction with savepoints and more changes than logical_decoding_work_mem is "
                    "rolled back: create the slot with pgoutput, or set PluginName=test_decoding to "
                    "accept that",
                    user_slot));
        if (info->two_phase)
            return fail(
                ErrorCode::failed_precondition,
                fmt::format("replication slot \"{}\" decodes prepared transactions (two_phase), which "
                            "godwit does not follow: create it without",
                            user_slot));
        if (made && made->name != user_slot) {
            GW_CHECK(drop_own_slot(*made));
            std::error_code ignored;
            std::filesystem::remove(path, ignored);
        }
        slot_ = SlotRecord{user_slot, info->plugin, false, {}, {}, 0};
        return *slot_;
    }
    if (!fresh) {
        if (!made)
            return fail(ErrorCode::data_loss,
                        "this task has no replication slot to go on from; start it with reload-target");
        slot_ = made;
        return *made;
    }
    if (made) GW_CHECK(drop_own_slot(*made));  // a fresh start makes a new slot
    pg::Connection* c = GW_TRY(control());
    const auto oid = GW_TRY(database_oid(*c));
    SlotRecord r{slot_name(context_.task_id, oid),
                 plugin_of(endpoint_),
                 true,
                 endpoint_.host,
                 endpoint_.database,
                 endpoint_.port};
    GW_CHECK(write_file(
        path, fmt::format("{} {}\n{}\n{}\n{}\n", r.name, r.plugin, r.host, r.port, r.database), true));
    slot_ = r;
    return r;
}

// Adds tables to what is captured. The publications always get the whole set: a table that dropped out of
// them, even for a moment, would lose the changes of that moment. `begin`: their changes are wanted from now
// on, so these come into the publications, and rise in them, whatever they have missed; others only with a
// load of theirs.
Result<> PostgresSource::publish(const std::vector<TableSchema>& tables, bool begin) {
    std::vector<TableSchema> followed;
    {
        const std::lock_guard lock(tables_mutex_);
        for (const auto& t : tables) {
            const auto before = begin ? nullptr : captured_table(t.source_id, t.name);
            capture(std::make_shared<const TableSchema>(before ? as_logged(*before, t) : t));
        }
        for (const auto& [name, t] : captured_)
            if (!t->is_view && !t->full_load_only) followed.push_back(*t);
        for (const auto& [id, t] : former_) followed.push_back(*t);
        if (running_stream_ != nullptr) running_stream_->reselect();
    }
    for (const auto& t : followed)
        for (std::size_t i = 0; i < t.leaf_states.size(); ++i)
            if (!t.leaf_states[i].logged &&
                std::ranges::find(tables, t.name, &TableSchema::name) != tables.end())
                context_.log->warning(
                    Component::tables_manager,
                    fmt::format("partition {} of table {} is unlogged or foreign: its rows are loaded, and "
                                "changes of them are not captured",
                                t.leaves[i].text(), t.name.text()));
    if (slot_->plugin != "pgoutput") return {};
    pg::Connection* c = GW_TRY(control());
    if (const auto own = endpoint_.attribute("publicationname"); !own.empty()) {
        std::erase_if(followed, [&](const auto& t) {
            return std::ranges::find(tables, t.source_id, &TableSchema::source_id) == tables.end();
        });
        return check_foreign_publication(*c, own, followed);
    }
    std::vector<TableName> loaded;
    if (begin)
        for (const auto& t : tables) {
            loaded.push_back(t.name);
            inserts_told_.erase(t.source_id);
        }
    GW_TRY(mend(*c, followed, loaded));
    return {};
}

// Rows of another table of that name may still come. With tables_mutex_ held.
void PostgresSource::capture(std::shared_ptr<const TableSchema> table) {
    former_.erase(table->source_id);
    auto& entry = captured_[table->name];
    if (entry != nullptr && entry->source_id != table->source_id) former_[entry->source_id] = entry;
    entry = std::move(table);
}

// Null: it is not captured. With tables_mutex_ held.
std::shared_ptr<const TableSchema> PostgresSource::captured_table(std::uint64_t source_id,
                                                                  const TableName& name) const {
    if (const auto it = captured_.find(name); it != captured_.end() && it->second->source_id == source_id)
        return it->second;
    if (const auto it = former_.find(source_id); it != former_.end()) return it->second;
    const auto it =  // under another name
        std::ranges::find_if(captured_, [&](const auto& t) { return t.second->source_id == source_id; });
    return it == captured_.end() ? nullptr : it->second;
}

// Those of `tables` that are in the publications by now stay there; `loaded` come into them.
Result<PublicationChanges> PostgresSource::mend(pg::Connection& c, const std::vector<TableSchema>& tables,
                                                const std::vector<TableName>& loaded) {
    const auto published = GW_TRY(read_publications(c, slot_->name));
    std::vector<TableName> names;
    std::set<std::uint64_t> ids;
    for (const auto& t : tables) {
        ids.insert(t.source_id);
        if (published.ids.contains(t.source_id) || std::ranges::find(loaded, t.name) != loaded.end())
            names.push_back(t.name);
    }
    if (!loaded.empty()) GW_CHECK(check_publication_rights(c, slot_->name, names));
    return mend_publications(c, slot_->name, names, loaded, ids);
}

// ---------------------------------------------------------------------------------------------- load

Result<LoadContext> PostgresSource::begin_load(const LoadRequest& request,
                                               const std::vector<TableSchema>& tables, std::stop_token stop) {
    const std::filesystem::path folder = context_.task_folder;
    std::unique_lock lock(control_mutex_);
    if (request.resume) {
        if (auto keeper = KeeperClient::find(folder, "keeper")) {
            LoadContext load;
            load.snapshot = keeper->state().snapshot;
            load.mark.token = keeper->state().mark;
            load.start.token = keeper->state().start;
            load.resumed = true;
            if (request.capture) {
                GW_TRY(slot_record(false));
                GW_CHECK(publish(tables, false));
            }
            const std::lock_guard keepers(keepers_mutex_);
            keepers_.insert_or_assign(load.snapshot, std::move(*keeper));
            return load;
        }
    }
    if (request.only_resume) return LoadContext{};
    if (request.aside) {
        auto keeper = GW_TRY(KeeperClient::spawn(context_.program, folder, "keeper-aside", context_.task_id,
                                                 endpoint_, "", "", ""));
        LoadContext aside;
        aside.snapshot = keeper.state().snapshot;
        const std::lock_guard keepers(keepers_mutex_);
        keepers_.insert_or_assign(aside.snapshot, std::move(keeper));
        return aside;
    }
    if (auto old = KeeperClient::find(folder, "keeper")) old->end();
    LoadContext load;
    std::string import;
    std::optional<pg::Connection> replication;
    if (request.capture) {
        const auto record = GW_TRY(slot_record(true));
        GW_CHECK(publish(tables, true));
        // it waits for the application's transactions, and nobody else has to
        lock.unlock();
        replication = GW_TRY(pg::Connection::open(source_options(endpoint_, context_.task_id, "slot", true)));
        auto observer = GW_TRY(session("slot-watch"));
        SlotRequest ask;
        ask.plugin = record.plugin;
        ask.wait_max = std::chrono::seconds(request.wait_s_max);
        if (record.ours) {
            ask.name = record.name;
        } else {
            // a slot of the user's own cannot export a snapshot: a temporary one names the point that divides
            // what the snapshot holds from what the user's slot still brings
            ask.name = ("gwtmp_" + context_.task_id).substr(0, 60);
            ask.temporary = true;
            GW_CHECK(drop_left_slot(observer, ask.name, stop));
        }
        auto slot = GW_TRY(create_slot(*replication, observer, ask, *context_.clock, stop));
        GW_FAILPOINT("load.slot_created");
        import = slot.snapshot;
        load.start = to_position(slot.consistent_point);
        load.mark.token = std::string(kMarkPrefix) + to_token(slot.consistent_point);
    }
    auto keeper = GW_TRY(KeeperClient::spawn(context_.program, folder, "keeper", context_.task_id, endpoint_,
                                             import, load.mark.token, load.start.token));
    load.snapshot = keeper.state().snapshot;
    const std::lock_guard keepers(keepers_mutex_);
    keepers_.insert_or_assign(load.snapshot, std::move(keeper));
    return load;
}

// A killed process leaves its temporary slot behind until the server misses it.
Result<> PostgresSource::drop_left_slot(pg::Connection& session, const std::string& name,
                                        std::stop_token stop) {
    return drop_slot(session, name, "godwit/" + context_.task_id + "/", *context_.clock, stop);
}

Result<LoadContext> PostgresSource::begin_table_load(const std::vector<TableSchema>& tables, bool follow,
                                                     std::uint32_t wait_s_max, std::stop_token stop) {
    LoadContext load;
    int number = 0;
    {
        const std::lock_guard lock(control_mutex_);
        number = next_keeper_++;
        if (slot_ && follow) GW_CHECK(publish(tables, true));
    }
    auto replication =
        GW_TRY(pg::Connection::open(source_options(endpoint_, context_.task_id, "slot", true)));
    auto observer = GW_TRY(session("slot-watch"));
    SlotRequest ask;
    ask.name = ("gwtmp_" + std::to_string(number) + "_" + context_.task_id).substr(0, 60);
    ask.temporary = true;
    ask.wait_max = std::chrono::seconds(wait_s_max);
    GW_CHECK(drop_left_slot(observer, ask.name, stop));
    auto slot = GW_TRY(create_slot(replication, observer, ask, *context_.clock, stop));
    load.start = to_position(slot.consistent_point);
    load.mark.token = std::string(kMarkPrefix) + to_token(slot.consistent_point);
    auto keeper = GW_TRY(KeeperClient::spawn(context_.program, context_.task_folder,
                                             fmt::format("keeper{}", number), context_.task_id, endpoint_,
                                             slot.snapshot, load.mark.token, load.start.token));
    load.snapshot = keeper.state().snapshot;
    const std::lock_guard keepers(keepers_mutex_);
    keepers_.insert_or_assign(load.snapshot, std::move(keeper));
    return load;
}

Result<pg::Connection> PostgresSource::reader(const std::string& snapshot) {
    std::optional<pg::Connection> c;
    {
        const std::lock_guard lock(readers_mutex_);
        if (!readers_.empty()) {
            c = std::move(readers_.back());
            readers_.pop_back();
        }
    }
    if (!c) c = GW_TRY(session("load"));
    // one transaction per slice: locks on tables that are done are not kept
    auto begun = c->run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
                        pg::quote_literal(snapshot));
    // Its holder died, which servers say in several ways: no table's own fault, a new start finds another
    // way. 57: somebody has cancelled us.
    if (!begun && c->healthy() && !begun.error().sqlstate.starts_with("57"))
        return fail(ErrorCode::unavailable, "the keeper of the load's snapshot is gone",
                    Retry::from_checkpoint);
    GW_CHECK(std::move(begun));
    return std::move(*c);
}

void PostgresSource::give_back(pg::Connection c) {
    if (!c.healthy() || !c.run("COMMIT")) return;
    const std::lock_guard lock(readers_mutex_);
    readers_.push_back(std::move(c));
}

Result<TableLoad> PostgresSource::open_table(const LoadContext& load, const TableName& table) {
    // As it was when the snapshot was taken: slices of another width under the same numbers are other rows.
    std::int64_t blocks_each = slice_blocks(endpoint_);
    {
        const std::lock_guard lock(keepers_mutex_);
        const auto it = keepers_.find(load.snapshot);
        if (it == keepers_.end()) return fail(ErrorCode::internal, "no keeper for this snapshot");
        GW_CHECK(it->second.lock(table));
        if (it->second.state().slice_blocks > 0) blocks_each = it->second.state().slice_blocks;
    }
    auto c = GW_TRY(reader(load.snapshot));
    TableLoad t;
    t.schema = GW_TRY(read_table(c, table));
    in_portable_words(t.schema);
    t.leaves = t.schema.leaves;
    if (t.leaves.empty()) t.leaves.push_back(table);
    const auto width = static_cast<std::uint64_t>(blocks_each);
    for (std::size_t i = 0; i < t.leaves.size(); ++i) {
        const auto size = GW_TRY(c.query(fmt::format(
            "SELECT c.relkind, pg_catalog.pg_relation_size(c.oid) / "
            "pg_catalog.current_setting('block_size')::bigint, "
            "pg_catalog.pg_table_size(c.oid) FROM pg_catalog.pg_class c WHERE c.oid = {}::regclass",
            pg::quote_literal(pg::quote_name(t.leaves[i].schema, t.leaves[i].table)))));
        const bool heap = size.text(0, 0) == "r" || size.text(0, 0) == "m";
        const auto blocks = static_cast<std::uint64_t>(heap ? size.number(0, 1) : 0);
        // Boundaries depend on nothing that changes while the snapshot is held, so that a task that goes on
        // after a kill cuts the same slices: rows that the snapshot sees lie below the size measured after it
        // was taken, and blocks that come later only add slices without visible rows.
        const std::uint64_t slices =
            traits_.version < 140000 ? 1 : std::max<std::uint64_t>(1, (blocks + width - 1) / width);
        if (i >= kLeavesMax || slices >= kSlicesPerLeafMax)
            return fail(ErrorCode::unsupported,
                        fmt::format("table {} has too many partitions or blocks for slices of {} "
                                    "blocks; raise sliceBlocks of the source endpoint",
                                    table.text(), width));
        for (std::uint64_t p = 0; p < slices; ++p) {
            Slice s;
            s.number = static_cast<std::uint32_t>(i * kSlicesPerLeafMax + p);
            s.leaf = i;
            if (slices > 1) {
                s.low = std::to_string(p * width);
                s.high = std::to_string((p + 1) * width);
            }
            t.slices.push_back(std::move(s));
        }
    }
    give_back(std::move(c));
    return t;
}

Result<std::uint64_t> PostgresSource::read_slice(const LoadContext& load, const TableLoad& table,
                                                 const Slice& slice, const std::string& format,
                                                 LoadSink& sink, std::stop_token stop) {
    const bool portable = format == kRowsCopy;
    std::string columns;
    for (const auto& c : table.schema.columns)
        if (!c.generated)
            columns += (columns.empty() ? "" : ", ") +
                       (portable ? portable_expression(c, table.schema.types, portable_options())
                                 : pg::quote_name(c.name));
    std::string where;
    if (!slice.low.empty()) {
        where = fmt::format(" WHERE ctid >= '({},0)'::pg_catalog.tid", slice.low);
        if (!slice.high.empty()) where += fmt::format(" AND ctid < '({},0)'::pg_catalog.tid", slice.high);
    }
    const auto& leaf = table.leaves[slice.leaf];
    const std::string only = table.schema.is_view ? "" : "ONLY ";
    const std::string sql = fmt::format("COPY (SELECT {} FROM {}{}{}) TO STDOUT ({})", columns, only,
                                        pg::quote_name(leaf.schema, leaf.table), where,
                                        format == "pg.binary" ? "FORMAT binary"
                                        : portable            ? "FORMAT text, ENCODING 'UTF8'"
                                                              : "FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8'");
    auto c = GW_TRY(reader(load.snapshot));
    ByteBuffer block;
    block.reserve(kBlockBytes + 4096);
    std::uint64_t in_block = 0;
    auto outcome = c.copy_out(sql, stop, [&](Bytes row) -> Result<> {
        block.append(row);
        // the end of a binary COPY comes as a message of its own
        if (row.size() == 2 && row[0] == std::byte{0xFF} && row[1] == std::byte{0xFF}) return {};
        ++in_block;
        if (block.size() < kBlockBytes) return {};
        auto wrote = sink.write(block.view(), in_block);
        block.clear();
        in_block = 0;
        return wrote;
    });
    if (!outcome) {
        // a lost session is everybody's misfortune, unless the keeper has ended it for a waiting statement
        if (outcome.error().retry == Retry::from_checkpoint) {
            const std::lock_guard lock(keepers_mutex_);
            if (const auto it = keepers_.find(load.snapshot); it != keepers_.end())
                GW_CHECK(it->second.check(table.schema.name));
        }
        // a row that the server cannot print (a value of 1 GB as text) or read is its table's misfortune
        if (c.healthy() && outcome.error().code == ErrorCode::internal && !outcome.error().sqlstate.empty())
            outcome.error().code = ErrorCode::unsupported;
        return std::unexpected(std::move(outcome).error().with("table " + table.schema.name.text()));
    }
    if (!block.empty()) GW_CHECK(sink.write(block.view(), in_block));
    give_back(std::move(c));
    return *outcome;
}

Result<> PostgresSource::close_table(const LoadContext& load, const TableLoad& table) {
    const std::lock_guard lock(keepers_mutex_);
    const auto it = keepers_.find(load.snapshot);
    if (it == keepers_.end()) return fail(ErrorCode::internal, "no keeper for this snapshot");
    return it->second.unlock(table.schema.name);
}

void PostgresSource::end_load(const LoadContext& load) {
    {
        const std::lock_guard lock(keepers_mutex_);
        if (auto node = keepers_.extract(load.snapshot)) node.mapped().end();
    }
    const std::lock_guard lock(readers_mutex_);
    readers_.clear();
}

// ---------------------------------------------------------------------------------------------- positions

Contained PostgresSource::contains(const SnapshotMark& mark, const Record& begin) const {
    const auto lsn = mark_lsn(mark);
    // of a slot's own snapshot: exactly the transactions that commit before its consistent point
    const bool in = lsn && GW_RULE("mark.contains") && begin.order < lsn->value();
    return in ? Contained::yes : Contained::no;
}

bool PostgresSource::passed(const SnapshotMark& mark, const Position& position) const {
    const auto m = mark_lsn(mark);
    const auto p = parse_lsn(position);
    return m && p && p->value() >= m->value();
}

Result<std::uint64_t> PostgresSource::order(const Position& position) const {
    const Lsn lsn = GW_TRY(parse_lsn(position));
    return lsn.value();
}

Result<Position> PostgresSource::parse_position(const std::string& native) const {
    std::string text = native;
    if (text.starts_with("checkpoint:")) {
        std::size_t at = 0;
        for (int field = 0; field < 2 && at != std::string::npos; ++field) at = text.find('#', at) + 1;
        const auto end = text.find('#', at);
        text = text.substr(at, end == std::string::npos ? std::string::npos : end - at);
    }
    if (const auto dot = text.find('.'); dot != std::string::npos) text.resize(dot);
    const Lsn lsn = GW_TRY(parse_lsn(text));
    return to_position(lsn);
}

// ---------------------------------------------------------------------------------------------- changes

Result<Position> PostgresSource::begin_capture(const Position& from, const std::vector<TableSchema>& tables,
                                               std::stop_token stop) {
    const std::lock_guard lock(control_mutex_);
    auto record = GW_TRY(slot_record(true));
    own_publication_.forget();
    GW_CHECK(publish(tables, true));
    pg::Connection* c = GW_TRY(control());
    if (!record.ours) {
        auto info = GW_TRY(require_slot(*c, record.name));
        const Lsn wanted = GW_TRY(parse_lsn(from));
        if (wanted.value() == 0) return to_position(info.confirmed_flush);
        if (wanted < info.confirmed_flush) {
            context_.log->warning(
                Component::source_capture,
                fmt::format("the start position {} lies before the slot's confirmed position {}; the "
                            "server starts at the latter",
                            to_server_text(wanted), to_server_text(info.confirmed_flush)));
            return to_position(info.confirmed_flush);
        }
        return from;
    }
    if (!from.empty())
        return fail(
            ErrorCode::failed_precondition,
            "a start position needs the slot that still holds it: set SlotName in the source endpoint");
    auto replication =
        GW_TRY(pg::Connection::open(source_options(endpoint_, context_.task_id, "slot", true)));
    SlotRequest ask;
    ask.name = record.name;
    ask.plugin = record.plugin;
    ask.export_snapshot = false;
    auto slot = GW_TRY(create_slot(replication, *c, ask, *context_.clock, stop));
    return to_position(slot.consistent_point);
}

Result<std::optional<Position>> PostgresSource::parted(std::uint32_t timeline) {
    if (timeline == traits_.timeline) return std::nullopt;
    auto replication =
        GW_TRY(pg::Connection::open(source_options(endpoint_, context_.task_id, "identify", true)));
    const auto unknown = [&](std::string_view why) {
        return fail(
            ErrorCode::data_loss,
            fmt::format(
                "the source is on timeline {} now and this task has followed timeline {}, of which {}: "
                "start the task with reload-target",
                traits_.timeline, timeline, why));
    };
    // the first timeline has no history
    if (traits_.timeline < timeline) return unknown("it knows nothing");
    const auto history = replication.query(fmt::format("TIMELINE_HISTORY {}", traits_.timeline));
    if (!history && !replication.healthy()) return std::unexpected(history.error());
    if (!history) return unknown("it cannot tell the end (" + history.error().message + ")");
    const auto end = GW_TRY(timeline_end(history->text(0, 1), timeline));
    if (!end) return unknown("its history does not speak");
    return to_position(*end);
}

Result<Position> PostgresSource::resume_capture(const std::vector<TableSchema>& tables) {
    const std::lock_guard lock(control_mutex_);
    GW_TRY(slot_record(false));
    GW_CHECK(publish(tables, false));
    pg::Connection* c = GW_TRY(control());
    auto info = require_slot(*c, slot_->name);
    if (!info && info.error().code == ErrorCode::not_found)
        return fail(ErrorCode::data_loss,
                    fmt::format("replication slot \"{}\" is gone from the source (dropped by "
                                "someone); the changes since are lost to this task: reload it",
                                slot_->name));
    if (!info) return std::unexpected(std::move(info).error());
    return to_position(info->confirmed_flush);
}

// Empty: it is no partition of a captured table.
TableName PostgresSource::captured_root(const TableName& name) {
    const std::lock_guard lock(control_mutex_);
    auto c = control();
    if (!c) return {};
    const auto ancestors = (*c)->query(
        "SELECT n.nspname, k.relname FROM pg_catalog.pg_partition_ancestors(pg_catalog.to_regclass($1)) a "
        "JOIN pg_catalog.pg_class k ON k.oid = a.relid JOIN pg_catalog.pg_namespace n ON n.oid = "
        "k.relnamespace",
        std::vector<pg::Param>{pg::quote_name(name.schema, name.table)});
    if (!ancestors) return {};
    const std::lock_guard captured(tables_mutex_);
    for (int i = 0; i < ancestors->size(); ++i)
        if (TableName root{ancestors->text(i, 0), ancestors->text(i, 1)};
            root != name && captured_.contains(root))
            return root;
    return {};
}

Result<> PostgresSource::stream(const Position& from, ChangeSink& sink, std::stop_token stop) {
    SlotRecord slot;
    {
        const std::lock_guard lock(control_mutex_);
        slot = GW_TRY(slot_record(false));
        make_artifacts(*GW_TRY(control()));
    }
    LogStreamOptions options;
    options.connect = source_options(endpoint_, context_.task_id, "capture");
    options.slot = slot.name;
    options.plugin = slot.plugin;
    if (const auto own = endpoint_.attribute("publicationname"); !own.empty()) {
        options.publications = {own};
    } else {
        const auto names = publication_names(slot.name);
        options.publications = {names.all, names.inserts};
    }
    bool binary = stream_format_ == "pg.binary" && endpoint_.flag("binary", true);
    {
        // unnest would flatten arrays, which cost a statement per row in binary; in text they travel in
        // batches
        const std::lock_guard lock(tables_mutex_);
        for (const auto& [name, table] : captured_)
            for (const auto& column : table->columns)
                if (column.native_type.ends_with("[]")) binary = endpoint_.flag("binary", false);
    }
    options.binary = binary;
    options.streaming = endpoint_.flag("streaming", true);
    options.timeline = traits_.timeline;

    DecoderHooks hooks;
    hooks.wants = [this](std::uint32_t oid, std::string_view schema, std::string_view table) {
        const std::lock_guard lock(tables_mutex_);
        const TableName name{std::string(schema), std::string(table)};
        // under another name since a moment ago
        return captured_.contains(name) || (oid != 0 && captured_table(oid, name) != nullptr);
    };
    hooks.refine = [this](Relation& relation) {
        const std::lock_guard lock(tables_mutex_);
        const auto table = captured_table(relation.source_id, relation.name);
        if (table == nullptr || !table->partitioned) return;
        // the root's own identity says nothing about that of its leaves
        relation.identity = table->identity;
        for (auto& column : relation.columns)
            column.identity =
                by_whole_row(*table) ||
                std::ranges::find(table->identity_columns, column.name) != table->identity_columns.end();
    };
    hooks.resolve = [this](const TableName& name,
                           bool refresh) -> Result<std::shared_ptr<const TableSchema>> {
        TableName wanted = name;
        {
            const std::lock_guard lock(tables_mutex_);
            if (const auto it = captured_.find(name); it != captured_.end() && !refresh) return it->second;
            for (const auto& [root, table] : captured_)
                if (std::ranges::find(table->leaves, name) != table->leaves.end()) {
                    if (!refresh) return table;
                    wanted = root;  // a leaf is known by its root, also after DDL
                }
        }
        // a partition that came since the catalogue was read
        if (wanted == name)
            if (auto root = captured_root(name); !root.table.empty()) wanted = root;
        auto fresh = describe(wanted);
        if (!fresh) {
            if (fresh.error().code == ErrorCode::not_found) return std::shared_ptr<const TableSchema>();
            return std::unexpected(fresh.error());
        }
        auto shared = std::make_shared<const TableSchema>(std::move(*fresh));
        const std::lock_guard lock(tables_mutex_);
        if (captured_.contains(wanted)) captured_[wanted] = shared;
        return shared;
    };
    hooks.left_out = [this](const TableName& name, std::string_view what) {
        context_.log->warning(Component::source_capture,
                              fmt::format("table {}: {} left out", name.text(), what));
    };
    std::unique_ptr<Decoder> decoder;
    if (slot.plugin == "test_decoding")
        decoder = std::make_unique<TestDecodingDecoder>(std::move(hooks));
    else
        decoder = std::make_unique<PgoutputDecoder>(std::move(hooks));
    const Lsn start = GW_TRY(parse_lsn(from));
    LogStream log_stream(options, *decoder, *context_.clock, *context_.log);
    {
        const std::lock_guard lock(tables_mutex_);
        running_stream_ = &log_stream;
    }
    PortableSink portable(sink, portable_options(), [this](const Relation& relation) {
        const std::lock_guard lock(tables_mutex_);
        return captured_table(relation.source_id, relation.name);
    });
    auto outcome =
        log_stream.run(start, stream_format_ == kCellsCopy ? static_cast<ChangeSink&>(portable) : sink, stop);
    const std::lock_guard lock(tables_mutex_);
    running_stream_ = nullptr;
    return outcome;
}

Result<SourceHealth> PostgresSource::health() {
    const std::lock_guard lock(control_mutex_);
    pg::Connection* c = GW_TRY(control());
    const auto r = GW_TRY(c->query(fmt::format(
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE "
        "pg_catalog.pg_current_wal_lsn() END, (extract(epoch FROM pg_catalog.clock_timestamp()) * "
        "1000000)::bigint, "
        "(SELECT pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN "
        "pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)::bigint "
        "FROM pg_catalog.pg_replication_slots WHERE slot_name = {}), "
        "(SELECT wal_status FROM pg_catalog.pg_replication_slots WHERE slot_name = {})",
        pg::quote_literal(slot_ ? slot_->name : ""), pg::quote_literal(slot_ ? slot_->name : ""))));
    SourceHealth h;
    h.log_end = to_position(GW_TRY(parse_lsn(r.text(0, 0))));
    h.clock_us = r.number(0, 1);
    if (slot_ && r.null(0, 3))
        return fail(ErrorCode::data_loss,
                    fmt::format("replication slot \"{}\" is gone from the source (dropped by "
                                "someone); the changes since are lost to this task: reload it",
                                slot_->name));
    if (!r.null(0, 2))
        h.retained_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, r.number(0, 2)));
    if (r.text(0, 3) == "lost")
        return fail(
            ErrorCode::data_loss,
            fmt::format("replication slot \"{}\" was invalidated (max_slot_wal_keep_size); reload the task",
                        slot_->name));
    beat_when_due(*c);
    return h;
}

// A commit with synchronous_commit=off is seen while its record is in no file, and no stream sends it. A
// commit of ours that waits for the disk takes all before it with it; the message is there because an empty
// transaction waits for nothing.
Result<Position> PostgresSource::committed_end() {
    const std::lock_guard lock(control_mutex_);
    pg::Connection* c = GW_TRY(control());
    const auto standby = GW_TRY(c->query("SELECT pg_catalog.pg_is_in_recovery()"));
    if (standby.flag(0, 0)) {  // what can be seen here has been replayed
        const auto r = GW_TRY(c->query("SELECT pg_catalog.pg_last_wal_replay_lsn()"));
        return to_position(GW_TRY(parse_lsn(r.text(0, 0))));
    }
    auto forced = c->query(
        "SELECT pg_catalog.set_config('synchronous_commit', 'local', true), "
        "pg_catalog.pg_logical_emit_message(true, 'godwit', 'end')");
    // Without the right to it: the record is on its way to the disk within three wal_writer_delay.
    if (!forced && forced.error().code != ErrorCode::permission_denied)
        return std::unexpected(std::move(forced).error());
    const auto r = GW_TRY(c->query(forced ? "SELECT pg_catalog.pg_current_wal_flush_lsn()"
                                          : "SELECT pg_catalog.pg_current_wal_insert_lsn()"));
    return to_position(GW_TRY(parse_lsn(r.text(0, 0))));
}

// A slot's restart_lsn moves only past a record of the running transactions, which the server writes every 15
// s: at 100 MB/s that is more than a guard. A slot that is being created writes one at once; it need not come
// about.
void PostgresSource::let_go() {
    auto c = session("guard");
    if (!c || !c->run("SET statement_timeout = 500")) return;
    const auto name = pg::quote_literal(("gwtmp_guard_" + context_.task_id).substr(0, 60));
    if (c->run(fmt::format("SELECT pg_catalog.pg_create_logical_replication_slot({}, 'pgoutput', true)",
                           name))) [[maybe_unused]]
        auto ignored = c->run(fmt::format("SELECT pg_catalog.pg_drop_replication_slot({})", name));
}

Result<std::vector<CatalogueChange>> PostgresSource::poll_catalogue(const Selection& selection,
                                                                    const std::vector<TableSchema>& known) {
    const std::lock_guard lock(control_mutex_);
    pg::Connection* c = GW_TRY(control());
    // a lock that somebody holds for long is met again at the next poll
    GW_CHECK(c->run("SET lock_timeout = '5s'"));
    const WaitsForLocks after(*c);
    auto found = GW_TRY(read_tables(*c, &selection, partitions_as_root()));
    for (auto& t : found) in_portable_words(t);
    const auto own_publication = endpoint_.attribute("publicationname");
    std::optional<ForeignPublication> foreign;
    PublishedTables published;
    if (slot_ && slot_->plugin == "pgoutput") {
        if (own_publication.empty())
            published = GW_TRY(read_publications(*c, slot_->name));
        else
            foreign = GW_TRY(read_foreign_publication(*c, own_publication));
    }
    if (foreign) GW_CHECK(own_publication_.look(*foreign));
    // Behind it: what the catalogue shows was committed before this place of the log.
    const auto now = GW_TRY(
        c->query("SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
                 "ELSE pg_catalog.pg_current_wal_insert_lsn() END"));
    const Position seen = to_position(GW_TRY(parse_lsn(now.text(0, 0))));
    std::vector<CatalogueChange> changes;
    const auto report = [&](CatalogueChange::Kind kind, const TableSchema& t) -> CatalogueChange& {
        CatalogueChange change;
        change.kind = kind;
        change.table = t.name;
        change.seen_at = seen;
        change.source_id = t.source_id;
        return changes.emplace_back(std::move(change));
    };
    std::vector<const TableSchema*> renamed;
    bool moved = false;  // which relation belongs to which table
    std::map<std::uint64_t, const TableSchema*> by_id;
    for (const auto& t : found) by_id[t.source_id] = &t;
    std::set<std::uint64_t> known_ids;
    std::vector<TableSchema> followed;
    std::vector<std::uint32_t> absent;
    for (const auto& t : known)
        if (!by_id.contains(t.source_id)) absent.push_back(static_cast<std::uint32_t>(t.source_id));
    struct Elsewhere {
        TableName name;
        bool partition = false;
    };
    std::map<std::uint64_t, Elsewhere> unselected;  // they live under names that nobody selects
    if (!absent.empty()) {
        const auto rows = GW_TRY(
            c->query("SELECT k.oid, n.nspname, k.relname, k.relispartition FROM pg_catalog.pg_class k "
                     "JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace WHERE k.oid = ANY ($1::oid[])",
                     std::vector<pg::Param>{oid_array(absent)}));
        for (int i = 0; i < rows.size(); ++i)
            unselected[static_cast<std::uint64_t>(rows.number(i, 0))] = {{rows.text(i, 1), rows.text(i, 2)},
                                                                         rows.flag(i, 3)};
    }
    const bool by_name = slot_ && slot_->plugin == "test_decoding";
    for (const auto& t : known) {
        known_ids.insert(t.source_id);
        const auto it = by_id.find(t.source_id);
        const TableName* name = it == by_id.end() ? nullptr : &it->second->name;
        if (name == nullptr) {
            const auto other = unselected.find(t.source_id);
            // A partition of a table that is followed is no table of its own any more.
            const bool left =
                other != unselected.end() && !(other->second.name == t.name && other->second.partition);
            if (left)
                report(CatalogueChange::Kind::rows_changed, t).reason =
                    fmt::format("table {} is {} now, which the table mappings do not select", t.name.text(),
                                other->second.name.text());
            else
                report(CatalogueChange::Kind::table_dropped, t);
            // The last rows of one that is gone are still to come; lines that name tables cannot be told from
            // those of the next one of that name.
            const std::lock_guard captured(tables_mutex_);
            if (left || by_name)
                std::erase_if(captured_, [&](const auto& e) { return e.second->source_id == t.source_id; });
            continue;
        }
        const TableSchema& table = *it->second;
        if (*name != t.name) {
            report(CatalogueChange::Kind::table_renamed, t).new_name = *name;
            renamed.push_back(&table);
        } else if (const std::lock_guard captured(tables_mutex_);
                   const auto held = captured_table(t.source_id, t.name)) {
            if (held->name != t.name) renamed.push_back(&table);  // a row has told it before
        }
        const bool logged = !t.is_view && !t.full_load_only;
        if (logged) followed.push_back(table);
        std::string why = rows_changed(t, table);
        // its lines name tables, and cannot be told from those of another table that had the name in between
        if (why.empty() && by_name && *name == t.name && t.name_id != 0 && t.name_id != table.name_id)
            why = fmt::format("table {} had another name for a while", t.name.text());
        if (why.empty() && by_name && *name != t.name &&
            std::ranges::any_of(known, [&](const auto& other) { return other.name == *name; }))
            why = fmt::format("table {} has taken the name {} of another", t.name.text(), name->text());
        if (why.empty() && t.full_load_only != table.full_load_only && !t.is_view)
            why = fmt::format("table {} is {} logged", t.name.text(), t.full_load_only ? "now" : "no longer");
        if (why.empty() && logged && slot_ && slot_->plugin == "pgoutput" &&
            (foreign ? !publishes(*foreign, *name) : !published.ids.contains(t.source_id)))
            why = fmt::format("table {} is not published, so its changes are not in the log", t.name.text());
        if (why.empty() && logged && foreign && !publishes_all(*foreign, table.identity))
            why = fmt::format(
                "publication {} leaves out some operations, so changes of table {} are not in the log",
                own_publication, t.name.text());
        if (why.empty() && logged && foreign && own_publication_.touched(t.source_id) &&
            GW_RULE("poll.publication_touched"))
            why = fmt::format(
                "publication {} was altered, and what it left out of table {} until then is not in the log",
                own_publication, t.name.text());
        // What the log's rows are named by. pgoutput says it with the key's columns, for tables that are not
        // partitioned; where it sends all of them it does not say which are a key, and test_decoding never.
        if (why.empty() && logged && slot_ &&
            (by_name || (!table.partitioned && table.identity == RowIdentity::full &&
                         t.identity != RowIdentity::none)) &&
            !same_names(t, table) && GW_RULE("identity.reload"))
            why = fmt::format("the rows of table {} have another replica identity", t.name.text());
        // TRUNCATE and VACUUM FULL give the rows another file, and so do SET UNLOGGED and SET LOGGED, between
        // which no row is logged. The server refuses these for tables that a publication lists. While the
        // task runs a poll sees the table without its log.
        const bool may_go_unlogged = by_name || (foreign && !foreign->listed.contains(*name));
        if (why.empty() && logged && slot_ && !looked_ && may_go_unlogged && !table.partitioned &&
            t.storage_id != 0 && t.storage_id != table.storage_id && GW_RULE("poll.unlogged_meanwhile"))
            why = fmt::format(
                "table {} has another file than when the task stopped, and may have been unlogged meanwhile",
                t.name.text());
        bool refreshed = table.leaves != t.leaves;
        const bool relabelled = table.partitioned && slot_ && slot_->plugin == "pgoutput";
        if (relabelled) {
            const std::lock_guard captured(tables_mutex_);
            const auto before = captured_table(t.source_id, t.name);
            if (before != nullptr && before->identity != RowIdentity::none &&
                table.identity != RowIdentity::none) {
                if (why.empty() && !same_names(*before, table))
                    why = fmt::format("the rows of table {} have another replica identity", t.name.text());
                refreshed = refreshed || as_logged(*before, table).identity != before->identity;
            }
        }
        if (!why.empty()) {
            auto& change = report(CatalogueChange::Kind::rows_changed, t);
            change.reason = std::move(why);
            change.schema = std::make_shared<const TableSchema>(table);
            moved = true;
        } else if (table.columns != t.columns || table.columns_id != t.columns_id ||
                   table.storage_id != t.storage_id || table.leaves != t.leaves || table.name_id != t.name_id)
            report(CatalogueChange::Kind::table_altered, t).schema =
                std::make_shared<const TableSchema>(table);
        if (refreshed) {
            const std::lock_guard captured(tables_mutex_);
            if (const auto before = captured_table(t.source_id, t.name)) {
                const auto former = former_.find(t.source_id);
                (former == former_.end() ? captured_[before->name] : former->second) =
                    std::make_shared<const TableSchema>(relabelled ? as_logged(*before, table) : table);
            }
            moved = true;
        }
    }
    if (!renamed.empty()) {
        const std::lock_guard captured(tables_mutex_);
        std::vector<std::shared_ptr<const TableSchema>> entries;
        for (const auto* t : renamed) {
            const auto before = captured_table(t->source_id, t->name);
            const bool relabelled =
                before != nullptr && t->partitioned && slot_ && slot_->plugin == "pgoutput";
            entries.push_back(std::make_shared<const TableSchema>(relabelled ? as_logged(*before, *t) : *t));
        }
        std::erase_if(captured_, [&](const auto& entry) {
            return std::ranges::any_of(
                renamed, [&](const auto* t) { return t->source_id == entry.second->source_id; });
        });
        for (auto& t : entries) capture(std::move(t));
        moved = true;
    }
    {  // dropped, and the log is past that
        const std::lock_guard captured(tables_mutex_);
        const auto gone = [&](const auto& entry) {
            const auto id = entry.second->source_id;
            return !known_ids.contains(id) && !by_id.contains(id);
        };
        moved = std::erase_if(captured_, gone) + std::erase_if(former_, gone) != 0 || moved;
    }
    if (moved) {
        const std::lock_guard captured(tables_mutex_);
        if (running_stream_ != nullptr) running_stream_->reselect();
    }
    for (const auto& t : found) {
        if (known_ids.contains(t.source_id) || t.is_view || t.full_load_only) continue;
        if (!foreign || publishes(*foreign, t.name))
            report(CatalogueChange::Kind::table_added, t);
        else if (left_out_.insert(t.name).second)
            context_.log->warning(Component::source_capture,
                                  fmt::format("publication {} does not publish table {}: it is left out",
                                              own_publication, t.name.text()));
    }
    if (slot_ && slot_->plugin == "pgoutput" && !foreign) {
        // what was seen so far is told in any case
        auto mended = mend(*c, followed, {});
        const std::string error = mended ? "" : mended.error().text();
        if (error != mend_error_ && !error.empty()) context_.log->warning(Component::source_capture, error);
        mend_error_ = error;
        const auto tell = [&](CatalogueChange::Kind kind, const TableSchema& t,
                              const TableSchema& table) -> CatalogueChange& {
            auto& change = report(kind, t);
            change.schema = std::make_shared<const TableSchema>(table);
            return change;
        };
        const auto named = [&](std::vector<TableName> PublicationChanges::* tables, const TableSchema& t) {
            return mended && std::ranges::find((*mended).*tables, t.name) != ((*mended).*tables).end();
        };
        // What is so, not what has become so: a demotion may be another process's, or one whose answer was
        // lost.
        for (const auto& t : known) {
            const auto it = by_id.find(t.source_id);
            if (it == by_id.end() || t.is_view || t.full_load_only) continue;
            if (!published.inserts_ids.contains(t.source_id) &&
                !named(&PublicationChanges::demoted, *it->second))
                inserts_told_.erase(t.source_id);
            else if (inserts_told_.insert(t.source_id).second)
                tell(CatalogueChange::Kind::identity_lost, t, *it->second);
            if (named(&PublicationChanges::promotable, *it->second))
                tell(CatalogueChange::Kind::identity_gained, t, *it->second).reason = fmt::format(
                    "table {} has a usable replica identity again, and what was updated and deleted "
                    "while it had none is not in the log",
                    t.name.text());
        }
    }
    looked_ = true;
    own_publication_.told();
    return changes;
}

Result<Position> PostgresSource::recovery_position(const Position& applied) {
    GW_FAILPOINT("stop.position");
    const std::lock_guard lock(control_mutex_);
    if (!slot_) return applied;
    pg::Connection* c = GW_TRY(control());
    auto info = GW_TRY(inspect_slot(*c, slot_->name));
    if (!info) return applied;
    return to_position(info->restart);
}

// ---------------------------------------------------------------------------------------------- artifacts

void PostgresSource::make_artifacts(pg::Connection& session) {
    // DMS makes them by default; here only for those who say so themselves
    if (!endpoint_.flag("captureddls", false)) return;
    const auto schema = endpoint_.attribute("ddlartifactsschema", "public");
    auto made = create_ddl_audit(session, schema);
    if (!made) {
        context_.log->warning(Component::source_capture,
                              "CaptureDdls: " + made.error().text() + "; DDL is followed without them");
        return;
    }
    const auto file = std::filesystem::path(context_.task_folder) / "ddl_audit";
    if (*made)
        if (auto wrote = write_file(file, schema, true); !wrote)
            context_.log->warning(Component::source_capture, wrote.error().text());
}

void PostgresSource::beat_when_due(pg::Connection& session) {
    if (!endpoint_.flag("heartbeatenable", false)) return;
    const auto every =
        std::chrono::minutes(std::max<std::int64_t>(1, endpoint_.number("heartbeatfrequency", 5)));
    const auto now = context_.clock->steady();
    if (beat_at_ && now - *beat_at_ < every) return;
    beat_at_ = now;
    const auto schema = endpoint_.attribute("heartbeatschema", "public");
    bool created = false;
    if (auto done = beat(session, schema, context_.task_id, created); !done)
        context_.log->warning(Component::source_capture, "heartbeat: " + done.error().text());
    if (created)
        if (auto wrote = write_file(std::filesystem::path(context_.task_folder) / "heartbeat", schema, true);
            !wrote)
            context_.log->warning(Component::source_capture, wrote.error().text());
}

Result<> PostgresSource::drop_artifacts() {
    for (const auto& [name, drop] :
         {std::pair{"heartbeat", &drop_heartbeat}, std::pair{"ddl_audit", &drop_ddl_audit}}) {
        const auto file = std::filesystem::path(context_.task_folder) / name;
        const auto schema = read_file(file);
        if (!schema) continue;
        pg::Connection* c = GW_TRY(control());
        GW_CHECK(drop(*c, *schema));
        std::error_code ignored;
        std::filesystem::remove(file, ignored);
    }
    return {};
}

// ---------------------------------------------------------------------------------------------- comparison

namespace {

std::string whole_table(const TableSchema& t) {
    // a partitioned root holds its rows in its leaves
    return (t.partitioned || t.is_view ? "" : "ONLY ") + pg::quote_name(t.name.schema, t.name.table);
}

std::vector<std::string> written_columns(const TableSchema& t) {
    std::vector<std::string> out;
    for (const auto& c : t.columns)
        if (!c.generated) out.push_back(pg::quote_name(c.name));
    return out;
}

}  // namespace

namespace {

std::vector<std::string> digest_values(const TableSchema& table, const PortableOptions& options) {
    std::vector<std::string> out;
    for (const auto& c : table.columns)
        if (!c.generated) out.push_back(portable_digest_value(c, table.types, options, true));
    return out;
}

}  // namespace

Result<TableDigest> PostgresSource::digest(const LoadContext& load, const TableSchema& table, DigestForm form,
                                           std::stop_token stop) {
    auto c = GW_TRY(reader(load.snapshot));
    const auto sql =
        form == DigestForm::portable
            ? pg::portable_digest_sql(whole_table(table), digest_values(table, portable_options()))
            : pg::digest_sql(whole_table(table), written_columns(table));
    const auto r = GW_TRY(c.query(sql, stop));
    TableDigest d{static_cast<std::uint64_t>(r.number(0, 0)), r.text(0, 1)};
    give_back(std::move(c));
    return d;
}

Result<std::vector<KeyDigest>> PostgresSource::key_digests(const LoadContext& load, const TableSchema& table,
                                                           std::uint32_t bucket, std::uint32_t buckets,
                                                           DigestForm form, std::stop_token stop) {
    auto c = GW_TRY(reader(load.snapshot));
    std::vector<std::string> keys;
    for (const auto& k : table.primary_key)
        keys.push_back(form == DigestForm::portable
                           ? portable_digest_value(*table.column(k), table.types, portable_options(), true)
                           : pg::quote_name(k));
    const auto sql =
        form == DigestForm::portable
            ? pg::portable_key_digest_sql(whole_table(table), digest_values(table, portable_options()), keys,
                                          bucket, buckets)
            : pg::key_digest_sql(whole_table(table), written_columns(table), keys, bucket, buckets);
    const auto r = GW_TRY(c.query(sql, stop));
    std::vector<KeyDigest> out;
    for (int i = 0; i < r.size(); ++i) out.push_back({r.text(i, 0), r.text(i, 1)});
    give_back(std::move(c));
    return out;
}

Result<> PostgresSource::drop_capture() {
    const std::lock_guard lock(control_mutex_);
    if (auto old = KeeperClient::find(context_.task_folder, "keeper")) old->end();
    GW_CHECK(drop_artifacts());
    const auto path = std::filesystem::path(context_.task_folder) / "slot";
    const auto made = read_slot_record();
    if (!made) return {};
    GW_CHECK(drop_own_slot(*made));
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    slot_.reset();
    return {};
}

}  // namespace godwit::postgres
