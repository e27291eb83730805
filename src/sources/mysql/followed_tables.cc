#include "sources/mysql/followed_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "base/bytes.h"
#include "base/failpoint.h"
#include "base/files.h"
#include "core/table_bytes.h"
#include "sources/mysql/statements.h"

namespace godwit::mysql {
namespace {

bool one_of(std::string_view word, std::initializer_list<std::string_view> all) {
    return std::ranges::find(all, word) != all.end();
}

}  // namespace

DdlEffect effect_of(std::string_view sql) {
    DdlEffect out;
    const auto words = words_of(sql);
    const auto word = [&](std::size_t i) { return i < words.size() ? std::string_view(words[i]) : ""; };
    const auto rows = [&](const char* why) {
        if (out.rows.empty()) out.rows = why;
    };
    if (word(0) == "TRUNCATE") {
        out.truncates = true;
        return out;
    }
    const bool replaces = word(0) == "CREATE" && word(1) == "OR" && word(2) == "REPLACE";
    if (one_of(word(0), {"DROP", "CREATE"}) &&
        one_of(word(replaces ? 3 : 1),
               {"TRIGGER", "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "USER", "ROLE", "TEMPORARY", "INDEX",
                "UNIQUE", "FULLTEXT", "SPATIAL", "SERVER", "DEFINER", "ALGORITHM", "SQL", "AGGREGATE"}))
        return out;
    if (word(0) == "DROP" && one_of(word(1), {"DATABASE", "SCHEMA"})) out.whole_schema = true;
    if (word(0) == "DROP") {
        rows(kMadeAgain);
        return out;
    }
    if (word(0) == "CREATE") {
        if (replaces) rows("it was made again");
        return out;
    }
    bool filled = false, named = false, dropped = false, acting = false;  // foreign keys
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto w = word(i);
        std::size_t next = i + 1;
        while (one_of(word(next), {"IF", "NOT", "EXISTS"})) ++next;
        if (word(next) == "PARTITION" &&
            one_of(w, {"DROP", "TRUNCATE", "EXCHANGE", "DISCARD", "IMPORT", "CONVERT"}))
            out.partitions = true;
        if (w == "EXCHANGE") out.exchanges = true;
        if (one_of(w, {"DISCARD", "IMPORT"}) && word(i + 1) == "TABLESPACE") rows("its file was replaced");
        named = named || one_of(w, {"FOREIGN", "REFERENCES", "CONSTRAINT"});
        dropped = dropped || (w == "DROP" && one_of(word(next), {"FOREIGN", "CONSTRAINT"}));
        acting = acting || w == "CASCADE" || (w == "SET" && word(i + 1) == "NULL");
        if (w == "IGNORE") rows("rows that did not fit were left out");
        const bool index = one_of(
            word(next), {"INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "FOREIGN", "CONSTRAINT", "CHECK"});
        if (w == "ADD" || w == "DROP") {
            if (index || word(next) == "PARTITION") continue;
            if (one_of(word(next), {"PRIMARY", "PERIOD", "SYSTEM"})) rows("its key was changed");
            (w == "ADD" ? out.adds : out.drops) = true;
        } else if (w == "RENAME") {
            if (!index) rows("it or one of its columns was renamed");
        } else if (one_of(w, {"MODIFY", "CHANGE", "CONVERT"}) && word(next) != "PARTITION") {
            rows("the type of a column was changed");
        } else if (w == "SYSTEM_TIME") {
            rows("it keeps versions of its rows in partitions");
        } else if (one_of(w, {"DEFAULT", "AUTO_INCREMENT", "SERIAL", "GENERATED", "AS"}) ||
                   (w == "NOT" && word(i + 1) == "NULL")) {
            filled = true;
        }
    }
    out.keys = dropped || (named && acting);
    if (out.adds && filled) rows("a column was added that its older rows have values of");
    if (out.adds && out.drops) rows("columns were added and dropped");
    return out;
}

namespace {

// In their order: columns of one type that have changed places would change their values.
bool has_all(const TableSchema& all, const TableSchema& of) {
    auto at = all.columns.begin();
    return std::ranges::all_of(of.columns, [&](const ColumnSchema& c) {
        at = std::find_if(at, all.columns.end(), [&](const ColumnSchema& o) { return o.name == c.name; });
        if (at == all.columns.end()) return false;
        const ColumnSchema& same = *at++;
        return same.native_type == c.native_type && same.collation == c.collation;
    });
}

bool is_new(const ColumnSchema& c, const TableSchema& before) { return before.column(c.name) == nullptr; }

// The columns that `now` has more stand where the statement says: at the end, or one where it names the
// place.
bool added_in_place(std::string_view sql, const TableSchema& before, const TableSchema& now) {
    if (!moves_columns(sql))
        return std::ranges::all_of(now.columns | std::views::drop(before.columns.size()),
                                   [&](const ColumnSchema& c) { return is_new(c, before); });
    if (now.columns.size() != before.columns.size() + 1) return false;
    const auto at = std::ranges::find_if(now.columns, [&](const auto& c) { return is_new(c, before); });
    const auto words = words_of(sql);
    if (std::ranges::find(words, "FIRST") != words.end()) return at == now.columns.begin();
    const auto after = std::ranges::find(words, "AFTER");
    if (after == words.end() || after + 1 == words.end() || at == now.columns.begin()) return false;
    const std::string_view place =
        after[1].starts_with('`') ? std::string_view(after[1]).substr(1) : after[1];
    return same_but_case(place, (at - 1)->name);
}

// Where the server gives a column a value of its own (a TIMESTAMP with the old defaults), rows that were
// there have it too.
bool empty_in_older_rows(const ColumnSchema& c) {
    return !c.not_null && (c.default_expression.empty() || c.default_expression == "NULL");
}

// Does the catalogue show what the statement did and nothing else? It may be further on than this place of
// the log.
bool explained(const DdlEffect& effect, std::string_view sql, const TableSchema& before,
               const TableSchema& now) {
    const bool more = now.columns.size() > before.columns.size(),
               fewer = now.columns.size() < before.columns.size();
    const bool named = std::ranges::all_of(now.columns, [&](const ColumnSchema& c) {
        return before.column(c.name) != nullptr || mentions(sql, c.name);
    });
    if (effect.adds)
        return more && named && has_all(now, before) && added_in_place(sql, before, now) &&
               std::ranges::all_of(now.columns, [&](const ColumnSchema& c) {
                   return !is_new(c, before) || empty_in_older_rows(c);
               });
    if (effect.drops) return fewer && has_all(before, now);
    return !more && !fewer && has_all(now, before) && now.identity_columns == before.identity_columns;
}

constexpr std::uint32_t kFormat = 1;

}  // namespace

// ------------------------------------------------------------------------------------------------ the file

Result<> FollowedTables::save_locked() const {
    if (file_.empty()) return {};
    ByteBuffer out;
    out.put_le(kFormat);
    out.put_le(kTableBytesFormat);
    out.put_le(static_cast<std::uint32_t>(tables_.size()));
    for (const auto& [name, table] : tables_) {
        put_string(out, name.schema);
        put_string(out, name.table);
        out.put_le(table.since);
        out.put_le(static_cast<std::uint32_t>(table.history.size()));
        for (const auto& d : table.history) {
            out.put_le(d.order);
            out.put_u8(d.schema != nullptr ? 1 : 0);
            if (d.schema != nullptr) put_table(out, *d.schema);
        }
        out.put_le(static_cast<std::uint32_t>(table.given_up.size()));
        for (const auto& [column, number] : table.given_up) {
            put_string(out, column);
            out.put_le(static_cast<std::uint32_t>(number));
        }
        out.put_u8(table.doubt ? 1 : 0);
        if (!table.doubt) continue;
        out.put_le(table.doubt->last);
        put_string(out, table.doubt->why);
    }
    GW_CHECK(write_summed_file(file_, as_text(out.view()), true));
    GW_FAILPOINT("binlog.history_saved");
    return {};
}

std::vector<std::pair<TableName, FollowedTables::Table>> FollowedTables::read(std::string_view bytes) {
    std::vector<std::pair<TableName, Table>> out;
    ByteReader in(as_bytes(bytes));
    const auto format = in.le<std::uint32_t>();
    const auto tables_format = in.le<std::uint32_t>();
    if (format != kFormat || tables_format > kTableBytesFormat) return {};
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) {
        auto& [name, table] = out.emplace_back();
        name.schema = get_string(in);
        name.table = get_string(in);
        table.since = in.le<std::uint64_t>();
        for (auto k = in.le<std::uint32_t>(); k > 0 && !in.failed(); --k) {
            auto& d = table.history.emplace_back();
            d.order = in.le<std::uint64_t>();
            if (in.u8() != 0) d.schema = std::make_shared<const TableSchema>(get_table(in, tables_format));
        }
        for (auto k = in.le<std::uint32_t>(); k > 0 && !in.failed(); --k) {
            std::string column = get_string(in);
            table.given_up.emplace(std::move(column), static_cast<std::int32_t>(in.le<std::uint32_t>()));
        }
        if (in.u8() != 0) {
            Doubt doubt;
            doubt.first = doubt.last = in.le<std::uint64_t>();
            doubt.why = get_string(in);
            table.doubt = std::move(doubt);
        }
        if (table.history.empty()) return {};
    }
    return in.failed() || !in.at_end() ? std::vector<std::pair<TableName, Table>>{} : std::move(out);
}

void FollowedTables::keep_in(std::filesystem::path file) {
    const std::lock_guard lock(mutex_);
    file_ = std::move(file);
    tables_.clear();
    changed_ = true;
}

Result<> FollowedTables::restore(std::filesystem::path file, const std::vector<TableName>& wanted) {
    const auto bytes = read_summed_file(file);
    const std::lock_guard lock(mutex_);
    file_ = std::move(file);
    tables_.clear();
    changed_ = true;
    if (!bytes) return std::unexpected(bytes.error());
    auto known = read(*bytes);
    if (known.empty() && !wanted.empty())
        return fail(ErrorCode::data_loss, file_.string() + " holds nothing that can be read");
    for (auto& [name, table] : known)
        if (std::ranges::find(wanted, name) != wanted.end()) tables_.emplace(name, std::move(table));
    return {};
}

Result<> FollowedTables::save() {
    const std::lock_guard lock(mutex_);
    return save_locked();
}

// ---------------------------------------------------------------------------------------------- any thread

void FollowedTables::set_rules(const ColumnRules& rules, bool keep_partitions) {
    const std::lock_guard lock(mutex_);
    rules_ = rules;
    keep_partitions_ = keep_partitions;
}

void FollowedTables::follow_keys() {
    const std::lock_guard lock(mutex_);
    follow_keys_ = true;
}

bool FollowedTables::follows(const TableName& name) const {
    const std::lock_guard lock(mutex_);
    return tables_.contains(name);
}

void FollowedTables::follow(const TableSchema& schema) {
    const std::lock_guard lock(mutex_);
    Table& table = tables_[schema.name];
    table.history.assign(1, {0, std::make_shared<const TableSchema>(schema)});
    table.given_up.clear();
    table.since = 0;
    changed_ = true;
}

void FollowedTables::loaded_from(const TableName& name, std::uint64_t order) {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    if (it == tables_.end()) return;
    // What came between belongs to the definition that was followed, what the stream read behind the mark
    // does not.
    auto& history = it->second.history;
    const auto behind = std::find_if(history.begin() + 1, history.end(),
                                     [&](const Definition& d) { return d.order >= order; });
    // the stream may read by the one that is forgotten
    if (behind != history.begin() + 1) changed_ = true;
    history.erase(history.begin() + 1, behind);
    history.front().order = it->second.since = order;
}

bool FollowedTables::loaded_behind(const TableName& name, std::uint64_t order) const {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    return it != tables_.end() && it->second.since != 0 && it->second.since >= order;
}

Result<> FollowedTables::healed(const TableName& name) {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    if (it == tables_.end() || !it->second.doubt || it->second.doubt->last >= it->second.since) return {};
    it->second.doubt.reset();
    return save_locked();
}

std::optional<std::string> FollowedTables::hopeless(const TableName& name) {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    if (it == tables_.end() || !it->second.hopeless) return {};
    it->second.misfit = 0;
    return std::exchange(it->second.hopeless, {});
}

std::vector<FollowedTables::Unsure> FollowedTables::unsure() const {
    const std::lock_guard lock(mutex_);
    std::vector<Unsure> out;
    for (const auto& [name, table] : tables_)
        if (table.doubt && table.doubt->last >= table.since)
            out.push_back({name, table.doubt->first, table.doubt->why});
    return out;
}

std::optional<TableSchema> FollowedTables::described(const Relation& relation) const {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(relation.name);
    if (it == tables_.end()) return {};
    const auto same = [&](const TableSchema& schema) {
        std::vector<const ColumnSchema*> columns;
        for (const auto& c : schema.columns)
            if (!c.generated) columns.push_back(&c);
        return std::ranges::equal(columns, relation.columns,
                                  [](const ColumnSchema* a, const RelationColumn& b) {
                                      return a->name == b.name && a->type_id == b.type_id;
                                  });
    };
    const auto& history = it->second.history;
    for (auto d = history.rbegin(); d != history.rend(); ++d)
        if (d->schema != nullptr && same(*d->schema)) return *d->schema;
    return {};
}

void FollowedTables::number(TableSchema& table) const {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(table.name);
    if (it == tables_.end() || it->second.history.back().schema == nullptr) return;
    const TableSchema& known = *it->second.history.back().schema;
    for (auto& c : table.columns) {
        const auto* same = known.column(c.name);
        c.number = same != nullptr ? same->number : column_number(c.name, known.columns);
    }
}

Result<> FollowedTables::acknowledged(std::uint64_t order) {
    const std::lock_guard lock(mutex_);
    bool forgotten = false;
    for (auto& [name, table] : tables_) {
        auto& history = table.history;
        while (history.size() > 1 && history[1].order < order) {
            history.erase(history.begin());
            forgotten = true;
        }
    }
    return forgotten ? save_locked() : Result<>{};
}

void FollowedTables::followed_by_target(const TableSchema& target) {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(target.name);
    if (it == tables_.end()) return;
    std::erase_if(it->second.given_up, [&](const auto& entry) {
        return target.column(entry.first) == nullptr &&
               std::ranges::none_of(it->second.history, [&](const Definition& d) {
                   return d.schema != nullptr && d.schema->column(entry.first) != nullptr;
               });
    });
}

Result<> FollowedTables::wait_known(std::chrono::seconds limit, std::stop_token stop) {
    const auto known = [&] { return !changed_ || !streaming_ || between_; };
    const auto until = std::chrono::steady_clock::now() + limit;
    std::unique_lock lock(mutex_);
    // The stream wakes nobody between two transactions: that would cost each of them a lock.
    while (!known() && !stop.stop_requested() && std::chrono::steady_clock::now() < until)
        known_.wait_for(lock, stop, std::chrono::milliseconds(5), known);
    if (known()) return {};
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the load was stopped");
    return fail(
        ErrorCode::unavailable,
        fmt::format("the stream did not come between two transactions within {} s: one that is very large is "
                    "being read",
                    limit.count()),
        Retry::from_checkpoint);
}

void FollowedTables::begin_stream(std::uint64_t from) {
    const std::lock_guard lock(mutex_);
    streaming_ = true;
    changed_ = between_ = false;
    for (auto& [name, table] : tables_)
        while (table.history.size() > 1 && table.history.back().order >= from) table.history.pop_back();
    known_.notify_all();
}

void FollowedTables::end_stream() {
    const std::lock_guard lock(mutex_);
    streaming_ = false;
    known_.notify_all();
}

// ------------------------------------------------------------------------------------ the thread that
// streams

std::shared_ptr<const TableSchema> FollowedTables::find(std::string_view database, std::string_view table) {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find({std::string(database), std::string(table)});
    return it == tables_.end() ? nullptr : it->second.history.back().schema;
}

Result<std::shared_ptr<const TableSchema>> FollowedTables::mismatch(const TableName& name,
                                                                    std::uint64_t order, const Error& why) {
    // Rows from before a load's mark are in the load. The others cannot be read by any definition that is
    // known: the table is loaded anew. Where that has not helped, it would not help again.
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    if (it == tables_.end() || order < it->second.since) return std::shared_ptr<const TableSchema>();
    Table& table = it->second;
    const bool as_loaded = table.history.size() == 1;
    if (as_loaded && table.misfit != 0 && table.misfit < table.since) table.hopeless = why.message;
    table.misfit = as_loaded ? order : 0;
    GW_CHECK(note(name, table, order, why.message));
    return std::shared_ptr<const TableSchema>();
}

bool FollowedTables::changed() {
    between_ =
        false;  // before the question: who changed them and still finds it set is heard by the next one
    if (!changed_) return false;
    const std::lock_guard lock(mutex_);
    changed_ = false;
    known_.notify_all();
    return true;
}

void FollowedTables::between() { between_ = true; }

std::vector<TableName> FollowedTables::wanted() {
    const std::lock_guard lock(mutex_);
    std::vector<TableName> out;
    for (const auto& [name, table] : tables_) out.push_back(name);
    return out;
}

Result<std::vector<TableName>> FollowedTables::reached(std::string_view database, std::string_view sql) {
    return reached_.of(database, sql, wanted(), std::chrono::steady_clock::now());
}

Result<> FollowedTables::table_unsure(const TableName& name, std::uint64_t order, std::string_view why) {
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    return it == tables_.end() ? Result<>{} : note(name, it->second, order, why);
}

Result<> FollowedTables::note(const TableName&, Table& table, std::uint64_t order, std::string_view why) {
    if (order < table.since || !GW_RULE("mysql.unsure_reloads")) return {};
    const bool known = table.doubt && table.doubt->last >= table.since;
    // Loads whose mark lies behind the last of them heal all.
    if (known)
        table.doubt->last = order;
    else
        table.doubt = Doubt{order, order, std::string(why)};
    return known ? Result<>{} : save_locked();
}

// Among the definitions that may still be asked for, and on the target, a name belongs to one column: the
// engine knows columns by name where no row shows them in between.
std::string FollowedTables::name_conflict(const Table& table, const TableSchema& now) {
    const TableSchema* last = table.history.back().schema.get();
    if (last == nullptr) return {};
    for (const auto& c : now.columns) {
        const auto renamed = std::ranges::find(last->columns, c.number, &ColumnSchema::number);
        if (renamed != last->columns.end() && renamed->name == c.name) continue;
        const bool fresh = renamed == last->columns.end();
        const auto taken = [&](std::int32_t number) { return fresh || number != c.number; };
        const auto it = table.given_up.find(c.name);
        bool conflict = it != table.given_up.end() && taken(it->second);
        for (const auto& d : table.history)
            if (const auto* held = d.schema ? d.schema->column(c.name) : nullptr)
                conflict = conflict || taken(held->number);
        if (conflict) return "the name of column " + c.name + " was given to another one";
    }
    return {};
}

std::string FollowedTables::push(Table& table, std::uint64_t order, std::shared_ptr<const TableSchema> now) {
    std::string why;
    if (now != nullptr) why = name_conflict(table, *now);
    if (const auto& last = table.history.back().schema)
        for (const auto& c : last->columns)
            if (now == nullptr || now->column(c.name) == nullptr) table.given_up[c.name] = c.number;
    table.history.push_back({order, std::move(now)});
    return why;
}

Result<DdlAnswer> FollowedTables::ddl(const DdlStatement& statement) {
    DdlAnswer answer;
    reached_.forget();
    const DdlEffect effect = effect_of(statement.sql);
    const auto made = made_table(statement.sql, statement.database);
    std::vector<TableName> meant;
    for (auto& name : wanted()) {
        // what a table is made from stays as it is
        if (made && !same_but_case(made->table, name.table) && !has_high_bytes(name.table)) continue;
        if (effect.whole_schema
                ? mentions(statement.sql, name.schema)
                : mentions(statement.sql, name.table) &&
                      (statement.database == name.schema || mentions(statement.sql, name.schema)))
            meant.push_back(std::move(name));
    }
    // A temporary table hides the one of its name, and only a log of rows keeps silent about it.
    if (statement.temporary) {
        for (const auto& name : meant)
            GW_CHECK(table_unsure(name, statement.order,
                                  "the log has a statement on a temporary table that may mean it"));
        return answer;
    }
    if (effect.truncates) {
        // Nothing but the table that is named, letter by letter: rows that are taken away do not come back.
        const auto named = truncated_table(statement.sql, statement.database);
        if (named && follows(*named)) {
            answer.truncated.push_back(*named);
            return answer;
        }
        for (const auto& name : meant) {
            const bool other_letters =
                named && same_but_case(named->table, name.table) && same_but_case(named->schema, name.schema);
            const bool other_charset = named && has_high_bytes(named->text()) && has_high_bytes(name.text());
            if (!named || other_letters || other_charset)
                GW_CHECK(table_unsure(name, statement.order, "a TRUNCATE in the log may mean it"));
        }
        return answer;
    }
    for (const auto& name : meant) {
        if (!statement.plain_settings)
            GW_CHECK(
                table_unsure(name, statement.order, "it was changed under settings of the statement's own"));
        GW_CHECK(apply(name, statement, effect));
    }
    return answer;
}

Result<> FollowedTables::apply(const TableName& name, const DdlStatement& statement,
                               const DdlEffect& effect) {
    {
        const std::lock_guard lock(mutex_);
        const auto it = tables_.find(name);
        if (effect.keys && follow_keys_ && it != tables_.end())
            GW_CHECK(note(name, it->second, statement.order, "its foreign keys were changed"));
    }
    {
        const std::lock_guard lock(mutex_);
        const auto it = tables_.find(name);
        if (it == tables_.end() || statement.order < it->second.since) return {};
        Table& table = it->second;
        const auto& last = table.history.back().schema;
        auto now = last == nullptr || !GW_RULE("mysql.schema_history")
                       ? std::nullopt
                       : after_statement(*last, statement.database, statement.sql, rules_);
        if (now) {
            if (now->columns == last->columns) {
                // the definition shows it already: rows in front of it were read by a later one
                if (moves_columns(statement.sql))
                    GW_CHECK(note(name, table, statement.order,
                                  "columns were moved before this place of the log was read"));
                return {};
            }
            const auto why =
                push(table, statement.order, std::make_shared<const TableSchema>(std::move(*now)));
            GW_CHECK(why.empty() ? Result<>{} : note(name, table, statement.order, why));
            return save_locked();
        }
    }
    auto now = describe_(name);
    if (!now && now.error().code != ErrorCode::not_found) return std::unexpected(std::move(now).error());
    const std::lock_guard lock(mutex_);
    const auto it = tables_.find(name);
    if (it == tables_.end()) return {};
    Table& table = it->second;
    const auto last = table.history.back().schema;
    if (!now) {
        // Dropped, which polling says unless there is one of that name again by then; or made again, and the
        // server has written that to its log before it lets anyone see the table.
        if (last != nullptr) push(table, statement.order, nullptr);
        GW_CHECK(note(name, table, statement.order, effect.rows.empty() ? kMadeAgain : effect.rows));
        return save_locked();
    }
    std::string why = effect.rows;
    const bool kept =
        keep_partitions_ && (!effect.exchanges || altered_table(statement.sql, statement.database) == name);
    if (why.empty() && effect.partitions && !kept) why = "its partitions were changed";
    if (last == nullptr && why.empty()) why = kMadeAgain;
    if (why.empty() && !explained(effect, statement.sql, *last, *now))
        why = "it was altered again before this place of the log was read";
    if (why.empty() && now->columns == last->columns && now->default_collation == last->default_collation)
        return {};
    const auto conflict = push(table, statement.order, std::make_shared<const TableSchema>(std::move(*now)));
    if (why.empty()) why = conflict;
    if (!why.empty()) GW_CHECK(note(name, table, statement.order, why));
    return save_locked();
}

}  // namespace godwit::mysql
