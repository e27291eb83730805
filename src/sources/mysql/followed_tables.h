#pragma once
// Which tables the stream follows, and by which definition their rows are read: the one that the table had at
// that place of the log. A definition is followed from the one before it by the statement of the log, or
// taken from the catalogue where that shows what the statement did and nothing else. What a statement did
// that no row of the log tells (a partition emptied, values converted) is a doubt, and the table is loaded
// anew; a definition that does not fit the log is never guessed at.
//
// All of it is kept in a file of the task's folder, written before the log is read on: a process that begins
// behind an ALTER cannot ask the catalogue what stood before it (docs/decisions/0009-schema-history.md).

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/log.h"
#include "sources/mysql/alter_statement.h"
#include "sources/mysql/reached_tables.h"
#include "sources/mysql/transactions.h"

namespace godwit::mysql {

inline constexpr const char* kMadeAgain = "it was dropped and made again";

// What a statement does to tables, by its words. Cautious: what it cannot tell costs a load, nothing else.
struct DdlEffect {
    std::string rows;           // why rows may be others now; empty: they are the same
    bool adds = false;          // columns that older rows have no value of
    bool drops = false;         // columns
    bool truncates = false;     // whole tables
    bool partitions = false;    // rows may have gone with partitions, or come
    bool exchanges = false;     // one of them with all rows of another table
    bool keys = false;          // foreign keys that act on rows may have come or gone
    bool whole_schema = false;  // all tables of the schemas that it names
};
[[nodiscard]] DdlEffect effect_of(std::string_view sql);

class FollowedTables final : public BinlogTables {
public:
    // The table as the catalogue has it now; not_found when it is gone.
    using Describe = std::function<Result<TableSchema>(const TableName& name)>;
    // `bodies`: what the server runs besides a statement's own words; without it nothing is reached.
    explicit FollowedTables(Describe describe, ReachedTables::Ask bodies = {})
        : describe_(std::move(describe)), reached_(std::move(bodies)) {}

    // --- any thread
    // `keep_partitions`: rows that go or come with partitions do not concern the target.
    void set_rules(const ColumnRules& rules, bool keep_partitions = false);
    // The target's foreign keys act as the source's do: they must be the same.
    void follow_keys();
    // From here on what is known is kept in `file`; what it holds is forgotten.
    void keep_in(std::filesystem::path file);
    // From here on in `file`, beginning with what it holds of `wanted`. An error says why nothing could be
    // taken over: the catalogue has to do.
    [[nodiscard]] Result<> restore(std::filesystem::path file, const std::vector<TableName>& wanted);
    [[nodiscard]] Result<> save();

    [[nodiscard]] bool follows(const TableName& name) const;
    // From its definition of now on, whatever was known of it. Doubts stay until it is healed().
    void follow(const TableSchema& table);
    // The mark of the load that begins with what was followed last: statements before it are in that
    // definition.
    void loaded_from(const TableName& name, std::uint64_t order);
    // Has a load of what is followed begun there or behind it?
    [[nodiscard]] bool loaded_behind(const TableName& name, std::uint64_t order) const;
    // That load is done: doubts from before its mark are over.
    [[nodiscard]] Result<> healed(const TableName& name);
    struct Unsure {
        TableName name;
        std::uint64_t order = 0;  // of the statement that raised it first
        std::string why;
    };
    // Why a load of the table would not heal it: what the log wrote behind the mark of the last one did not
    // fit the definition that was loaded, twice. Said once: whoever asks for another load tries anew.
    [[nodiscard]] std::optional<std::string> hopeless(const TableName& name);
    // What a load has to heal.
    [[nodiscard]] std::vector<Unsure> unsure() const;
    // The definition that stood where the log wrote this relation.
    [[nodiscard]] std::optional<TableSchema> described(const Relation& relation) const;
    // A column that was renamed keeps the number by which the engine knows it.
    void number(TableSchema& table) const;
    // Everything before is applied: older definitions are asked for no more.
    [[nodiscard]] Result<> acknowledged(std::uint64_t order);
    // As the target has the table now: names that its columns have given up are free again once no
    // definition holds them.
    void followed_by_target(const TableSchema& table);
    // Until the stream knows what was followed last. Before the mark of its load is taken: a stream that
    // learnt of the table behind the mark would leave out rows that nobody else brings.
    [[nodiscard]] Result<> wait_known(std::chrono::seconds limit, std::stop_token stop);
    // A stream begins at `from` (it asks for every table, and statements from there on come again).
    void begin_stream(std::uint64_t from);
    void end_stream();

    // --- the thread that streams
    std::shared_ptr<const TableSchema> find(std::string_view database, std::string_view table) override;
    Result<std::shared_ptr<const TableSchema>> mismatch(const TableName& name, std::uint64_t order,
                                                        const Error& why) override;
    bool changed() override;
    void between() override;
    std::vector<TableName> wanted() override;
    Result<std::vector<TableName>> reached(std::string_view database, std::string_view sql) override;
    Result<> table_unsure(const TableName& name, std::uint64_t order, std::string_view why) override;
    Result<DdlAnswer> ddl(const DdlStatement& statement) override;

private:
    struct Definition {
        std::uint64_t order = 0;                    // of the statement that made it
        std::shared_ptr<const TableSchema> schema;  // null: there is no such table
    };
    struct Doubt {
        std::uint64_t first = 0, last = 0;  // orders of the statements that raised it
        std::string why;
    };
    struct Table {
        std::vector<Definition> history;               // never empty; the first holds at what is acknowledged
        std::uint64_t since = 0;                       // statements before it are in the first definition
        std::map<std::string, std::int32_t> given_up;  // names that columns had, with their numbers
        std::optional<Doubt> doubt;
        std::uint64_t misfit =
            0;  // where the log did not fit what was loaded; 0: it did, or a statement came
        std::optional<std::string> hopeless;
    };
    // By the statement of `order`; with the mutex. Why rows may be wrong now; empty: they are not.
    static std::string push(Table& table, std::uint64_t order, std::shared_ptr<const TableSchema> schema);
    static std::string name_conflict(const Table& table, const TableSchema& now);
    Result<> apply(const TableName& name, const DdlStatement& statement, const DdlEffect& effect);
    Result<> note(const TableName& name, Table& table, std::uint64_t order, std::string_view why);
    [[nodiscard]] Result<> save_locked() const;
    [[nodiscard]] static std::vector<std::pair<TableName, Table>> read(std::string_view bytes);

    const Describe describe_;
    ReachedTables reached_;     // of the thread that streams
    mutable std::mutex mutex_;  // guards all below
    ColumnRules rules_;
    bool keep_partitions_ = false, follow_keys_ = false;
    std::filesystem::path file_;  // empty: kept in memory only
    std::map<TableName, Table> tables_;
    std::condition_variable_any known_;
    bool streaming_ = false;
    std::atomic<bool> changed_ = false;  // written with the mutex
    std::atomic<bool> between_ = false;  // two transactions: it asks whether they changed before it reads on
};

}  // namespace godwit::mysql
