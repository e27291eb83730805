#include "targets/postgres/snapshot.h"

#include <mutex>
#include <optional>

#include "codecs/pg/digest.h"
#include "codecs/pg/portable.h"

namespace godwit::postgres {
namespace {

// The first session exports its snapshot; each caller reads under it on a session of his own, so that tables
// are compared side by side.
class PgSnapshot final : public Target::Snapshot {
public:
    PgSnapshot(const Sessions& sessions, const TargetContext& context, pg::Connection keeper,
               std::string name)
        : sessions_(sessions), context_(context), keeper_(std::move(keeper)), name_(std::move(name)) {}

    DigestForm form() const override {
        return context_.source.family == context_.target.family ? DigestForm::own : DigestForm::portable;
    }

    Result<TableDigest> digest(const TableSchema& table, std::stop_token stop) override {
        auto c = GW_TRY(reader());
        const auto rows = GW_TRY(c.query(form() == DigestForm::portable
                                             ? pg::portable_digest_sql(from(table), values(table))
                                             : pg::digest_sql(from(table), columns(table)),
                                         stop));
        TableDigest out{static_cast<std::uint64_t>(rows.number(0, 0)), rows.text(0, 1)};
        give_back(std::move(c));
        return out;
    }

    Result<std::vector<KeyDigest>> key_digests(const TableSchema& table, std::uint32_t bucket,
                                               std::uint32_t buckets, std::stop_token stop) override {
        const bool portable = form() == DigestForm::portable;
        std::vector<std::string> keys;
        for (const auto& k : table.primary_key)
            keys.push_back(portable ? value(*table.column(k)) : pg::quote_name(k));
        auto c = GW_TRY(reader());
        const auto rows = GW_TRY(
            c.query(portable ? pg::portable_key_digest_sql(from(table), values(table), keys, bucket, buckets)
                             : pg::key_digest_sql(from(table), columns(table), keys, bucket, buckets),
                    stop));
        std::vector<KeyDigest> out;
        for (int i = 0; i < rows.size(); ++i) out.push_back({rows.text(i, 0), rows.text(i, 1)});
        give_back(std::move(c));
        return out;
    }

private:
    // without ONLY: a table that the user made may be partitioned
    [[nodiscard]] std::string from(const TableSchema& table) const {
        const TableName n = context_.name_of(table.name);
        return pg::quote_name(n.schema, n.table);
    }

    static std::string value(const ColumnSchema& column) {
        return portable_digest_value(column, {}, {}, false);
    }
    static std::vector<std::string> values(const TableSchema& table) {
        std::vector<std::string> out;
        for (const auto& c : table.columns)
            if (!c.generated) out.push_back(value(c));
        return out;
    }

    static std::vector<std::string> columns(const TableSchema& table) {
        std::vector<std::string> out;
        for (const auto& c : table.columns)
            if (!c.generated) out.push_back(pg::quote_name(c.name));
        return out;
    }

    Result<pg::Connection> reader() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                auto c = std::move(idle_.back());
                idle_.pop_back();
                return c;
            }
        }
        auto c = GW_TRY(sessions_.open());
        // the same output on both sides; see wire/pg for the source's
        GW_CHECK(
            c.run("SET search_path = ''; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION "
                  "SNAPSHOT " +
                  pg::quote_literal(name_)));
        return c;
    }

    void give_back(pg::Connection c) {
        const std::lock_guard lock(mutex_);
        idle_.push_back(std::move(c));
    }

    const Sessions& sessions_;
    const TargetContext& context_;
    pg::Connection keeper_;
    const std::string name_;
    std::mutex mutex_;  // guards idle_
    std::vector<pg::Connection> idle_;
};

}  // namespace

Result<std::unique_ptr<Target::Snapshot>> take_snapshot(const Sessions& sessions,
                                                        const TargetContext& context) {
    auto c = GW_TRY(sessions.open());
    GW_CHECK(c.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    const auto rows = GW_TRY(c.query("SELECT pg_catalog.pg_export_snapshot()"));
    return std::make_unique<PgSnapshot>(sessions, context, std::move(c), rows.text(0, 0));
}

}  // namespace godwit::postgres
