#pragma once
// Which tables a statement reaches without naming them: through views, triggers and routines. In statement
// format the log shows the statement and no rows.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/table.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

// What the server runs when a statement names it: a view, a routine, or a table by its trigger.
struct StoredCode {
    std::string schema;
    std::string name;                 // of a trigger: the table's
    std::optional<std::string> text;  // nothing: hidden from this user
};
[[nodiscard]] Result<std::vector<StoredCode>> read_bodies(Connection& connection);

// A change of one table of the server's own: no view, trigger or foreign key leads out of it. Services that
// run servers write such a row every few seconds.
[[nodiscard]] bool of_the_server(std::string_view database, std::string_view sql);

// Those of `tables` that a body mentions which the statement mentions, or another such body. A hidden one may
// mention every table of its schema. Cautious: a word in common is a mention.
[[nodiscard]] std::vector<TableName> reached_tables(std::string_view sql,
                                                    const std::vector<StoredCode>& bodies,
                                                    const std::vector<TableName>& tables);

// Of the thread that streams.
class ReachedTables {
public:
    using Ask = std::function<Result<std::vector<StoredCode>>()>;
    explicit ReachedTables(Ask ask) : ask_(std::move(ask)) {}

    // `database`: default of the statement's session.
    [[nodiscard]] Result<std::vector<TableName>> of(std::string_view database, std::string_view sql,
                                                    const std::vector<TableName>& tables, SteadyTime now);
    // A statement of the log may have made or changed one of them.
    void forget() { asked_.reset(); }

private:
    const Ask ask_;
    std::vector<StoredCode> bodies_;
    std::optional<SteadyTime> asked_;
};

}  // namespace godwit::mysql
