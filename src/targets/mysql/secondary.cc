#include "targets/mysql/secondary.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "codecs/mysql/describe.h"
#include "targets/mysql/columns.h"
#include "targets/mysql/preparation.h"

namespace godwit::mysql {
namespace {

constexpr auto kWait = std::chrono::seconds(2);
constexpr int kTries = 30;
constexpr unsigned kLockWaitTimeout = 1205, kDeadlock = 1213;

// By name; foreign keys also by what they say.
Result<std::set<std::string>> constraints_of(Connection& c, const TableName& table) {
    std::set<std::string> out;
    const auto rows = GW_TRY(c.query(fmt::format(
        "SELECT constraint_name FROM information_schema.table_constraints WHERE table_schema = {} AND "
        "table_name = {}",
        quote_literal(table.schema), quote_literal(table.table))));
    for (std::size_t i = 0; i < rows.size(); ++i) out.insert(rows.text(i, 0));
    for (const auto& key : GW_TRY(read_foreign_keys(c, table))) out.insert(key.definition());
    return out;
}

// One statement on one table; what was not made goes to `left`.
void change(Connection& c, const TargetContext& x, const TableName& name, const std::string& object,
            const std::string& action, std::vector<std::string>& left) {
    const std::string sql = fmt::format("ALTER TABLE {} {}", quote_name(name.schema, name.table), action);
    auto done = run_ddl(c, x, name, sql);
    const auto in_the_way = [&] {
        return !done && (c.error_number() == kLockWaitTimeout || c.error_number() == kDeadlock);
    };
    for (int i = 1; i < kTries && in_the_way(); ++i) {
        std::this_thread::sleep_for(kWait);
        done = run_ddl(c, x, name, sql);
    }
    if (!done)
        left.push_back(
            fmt::format("{} of table {} was not made: {}", object, name.text(), done.error().message));
}

}  // namespace

Result<std::vector<std::string>> create_own_objects(Connection& c, const TargetContext& x,
                                                    const ServerFacts& facts, const TableSchema& table) {
    std::vector<std::string> left;
    const TableName name = x.name_of(table.name);
    const auto now = GW_TRY(read_table(c, name));
    if (!now.exists || !table.extras.read || !x.same_family()) return left;
    for (const auto& i : table.extras.indexes)
        if (std::ranges::find(now.indexes, i.name, &TargetIndex::name) == now.indexes.end())
            change(c, x, name, i.name, "ADD " + i.definition, left);
    const auto there = GW_TRY(constraints_of(c, name));
    for (const auto& k : table.extras.checks)
        if (!there.contains(k.name)) change(c, x, name, k.name, "ADD " + k.definition, left);
    // ON UPDATE would act before the changes know of it
    for (const auto& column : table.columns)
        if (const auto* here = now.column(column.name);
            here != nullptr && !here->has_default && !column.default_expression.empty() &&
            column.default_expression.find(" ON UPDATE ") == std::string::npos)
            change(c, x, name, "default of column " + column.name,
                   fmt::format("MODIFY COLUMN {} {} DEFAULT {}", here->quoted,
                               standing_definition(*here, standing_type(*here), facts),
                               column.default_expression),
                   left);
    return left;
}

Result<std::vector<std::string>> create_secondary_objects(Sessions& sessions, const TargetContext& x,
                                                          const std::vector<TableSchema>& tables) {
    std::vector<std::string> left;
    if (!x.same_family()) {
        left.push_back(
            "CreateSecondaryIndexes acts between databases of one family only: indexes, foreign keys and "
            "checks were not made");
        return left;
    }
    auto c = GW_TRY(sessions.open());
    // Behind a statement that waits for readers all writers wait, changes of the task among them.
    GW_CHECK(c.run(fmt::format("SET SESSION lock_wait_timeout = {}", kWait.count())));
    for (const auto& t : tables)
        for (auto& text : GW_TRY(create_own_objects(c, x, sessions.facts(), t)))
            left.push_back(std::move(text));
    // last: they need the keys of other tables
    for (const auto& t : tables) {
        const TableName name = x.name_of(t.name);
        const auto there = GW_TRY(constraints_of(c, name));
        for (const auto& k : t.extras.foreign_keys)
            if (!there.contains(foreign_key_sql(k, x)) && !there.contains(k.name))
                change(c, x, name, k.name,
                       fmt::format("ADD CONSTRAINT {} {}", quote_name(k.name), foreign_key_sql(k, x)), left);
    }
    return left;
}

Result<std::vector<std::string>> sync_sequences(Sessions& sessions, const TargetContext& x,
                                                const std::vector<TableSchema>& tables) {
    std::vector<std::string> left;
    auto held = GW_TRY(sessions.hold());
    Connection& c = *held;
    for (const auto& t : tables) {
        const TableName name = x.name_of(t.name);
        const auto now = GW_TRY(read_table(c, name));
        for (const auto& s : t.extras.sequences) {
            const TargetColumn* column = now.column(s.column);
            if (column == nullptr || !column->auto_increment) {
                left.push_back(fmt::format("{}: column {} of table {} is no AUTO_INCREMENT on the target",
                                           s.name.text(), s.column, name.text()));
                continue;
            }
            // never below what is there: the server takes the larger of the two
            GW_CHECK(
                run_ddl(c, x, name,
                        fmt::format("ALTER TABLE {} AUTO_INCREMENT = {}", quote_name(name.schema, name.table),
                                    s.last_value + (s.is_called ? 1 : 0))));
        }
    }
    return left;
}

}  // namespace godwit::mysql
