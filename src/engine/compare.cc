#include "engine/compare.h"

#include <fmt/format.h>

#include <map>
#include <thread>

#include "base/failpoint.h"
#include "engine/task.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t kKeysMax = 100;
constexpr std::uint64_t kRowsPerBucket = 200'000;

Result<std::vector<std::string>> differing(Source& source, Target::Snapshot& target, const LoadContext& at,
                                           const TableSchema& table, std::uint64_t rows,
                                           std::stop_token stop) {
    std::vector<std::string> keys;
    const auto buckets = static_cast<std::uint32_t>(rows / kRowsPerBucket + 1);
    for (std::uint32_t b = 0; b < buckets && keys.size() < kKeysMax; ++b) {
        std::map<std::string, std::pair<std::string, std::string>> seen;
        for (auto& k : GW_TRY(source.key_digests(at, table, b, buckets, target.form(), stop)))
            seen[k.key].first = k.hash;
        for (auto& k : GW_TRY(target.key_digests(table, b, buckets, stop))) seen[k.key].second = k.hash;
        for (const auto& [key, hashes] : seen) {
            if (hashes.first == hashes.second) continue;
            const char* how = hashes.second.empty()  ? "missing on the target"
                              : hashes.first.empty() ? "only on the target"
                                                     : "different";
            keys.push_back(key + " " + how);
            if (keys.size() >= kKeysMax) break;
        }
    }
    return keys;
}

void compare_tables(Source& source, Target::Snapshot& there, const LoadContext& at,
                    const std::vector<TableSchema>& tables, Comparison& result, std::stop_token stop) {
    result.equal = true;
    for (const auto& table : tables) {
        TableComparison c;
        c.table = table.name;
        Result<TableDigest> mine = fail(ErrorCode::internal, "not read");
        {
            const std::jthread reading([&] { mine = source.digest(at, table, there.form(), stop); });
            auto theirs = there.digest(table, stop);
            if (theirs)
                c.target = *theirs;
            else
                c.error = theirs.error().text();
        }
        if (mine)
            c.source = *mine;
        else
            c.error = mine.error().text();
        c.equal = c.error.empty() && c.source.rows == c.target.rows && c.source.hash == c.target.hash;
        if (!c.equal && c.error.empty()) {
            if (auto keys = differing(source, there, at, table, std::max(c.source.rows, c.target.rows), stop))
                c.differing_keys = std::move(*keys);
            else
                c.error = keys.error().text();
        }
        result.equal = result.equal && c.equal;
        result.tables.push_back(std::move(c));
    }
}

// Apply goes on when the comparison needs it no longer, however that ends.
class Hold {
public:
    explicit Hold(Task& task) : task_(task) {}
    ~Hold() { end(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    [[nodiscard]] Result<> at(std::uint64_t order) { return task_.pause_apply_at(order, 10min); }
    void end() { task_.resume_apply(); }

private:
    Task& task_;
};

}  // namespace

Result<Comparison> compare(Task& task, Source& source, Target& target, std::stop_token stop) {
    Comparison result;
    GW_CHECK(task.knows_its_tables());
    const bool applies = task.applies();  // a task that stops meanwhile is an error: there is no common point
    // Apply waits while the source takes its snapshot, or it would be beyond that when it hears of it.
    Hold hold(task);
    if (applies && GW_RULE("compare.hold")) GW_CHECK(hold.at(0));
    // One look for both lists: a table that joins meanwhile would be in neither.
    const auto [tables, others] = task.tables_by_step();
    if (tables.empty()) return fail(ErrorCode::failed_precondition, "no table is loaded yet");
    GW_FAILPOINT("compare.tables_known");
    LoadContext at = GW_TRY(source.begin_table_load(tables, false, 600, stop));
    const auto compared = [&]() -> Result<> {
        // the source's snapshot holds exactly the transactions before its mark: apply stops there
        if (applies) {
            const auto order = GW_TRY(source.order(at.start));
            GW_CHECK(hold.at(order));
        }
        const auto there = GW_TRY(target.open_snapshot());
        hold.end();
        result.position = at.start.token;
        compare_tables(source, *there, at, tables, result, stop);
        return {};
    }();
    source.end_load(at);
    GW_CHECK(compared);
    // A table that is not in step is not equal: an answer that left it out would comfort for nothing.
    for (const auto& [name, why] : others) {
        TableComparison c;
        c.table = name;
        c.error = why;
        result.equal = false;
        result.tables.push_back(std::move(c));
    }
    return result;
}

Result<Comparison> compare_at_rest(Source& source, Target& target, const Ledger& ledger,
                                   const Selection& selection, std::stop_token stop) {
    std::vector<TableSchema> in_step;
    Comparison result;
    const auto found = GW_TRY(source.tables(selection));
    std::vector<TableComparison> others;
    for (const auto& table : found) {
        std::string why = "not loaded";
        for (const auto& known : ledger.tables) {
            if (known.name != table.name) continue;
            if (known.phase == TablePhase::joined || known.phase == TablePhase::loaded) why.clear();
            if (known.phase == TablePhase::suspended) why = "suspended: " + known.reason;
        }
        if (why.empty()) {
            in_step.push_back(table);
            continue;
        }
        TableComparison c;
        c.table = table.name;
        c.error = why;
        others.push_back(std::move(c));
    }
    if (in_step.empty()) return fail(ErrorCode::failed_precondition, "no table is loaded yet");
    LoadRequest request;
    request.aside = true;
    const LoadContext at = GW_TRY(source.begin_load(request, in_step, stop));
    auto there = target.open_snapshot();
    if (there) compare_tables(source, **there, at, in_step, result, stop);
    source.end_load(at);
    if (!there) return std::unexpected(there.error());
    for (auto& c : others) {
        result.equal = false;
        result.tables.push_back(std::move(c));
    }
    return result;
}

}  // namespace godwit::engine
