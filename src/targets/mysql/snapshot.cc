#include "targets/mysql/snapshot.h"

#include <mutex>

#include "codecs/mysql/digest.h"
#include "targets/mysql/columns.h"

namespace godwit::mysql {
namespace {

// A snapshot cannot be shared between sessions here, so there is one session, and tables wait for each other.
class MySnapshot final : public Target::Snapshot {
public:
    MySnapshot(const TargetContext& context, Connection session)
        : context_(context), session_(std::move(session)) {}

    DigestForm form() const override {
        return context_.source.family == "mysql" ? DigestForm::own : DigestForm::portable;
    }

    Result<TableDigest> digest(const TableSchema& table, std::stop_token stop) override {
        const std::lock_guard lock(mutex_);
        const auto columns = GW_TRY(columns_of(table));
        const auto rows = GW_TRY(session_.query(digest_sql(from(table), columns), stop));
        return TableDigest{rows.unsigned_number(0, 0), rows.text(0, 1)};
    }

    Result<std::vector<KeyDigest>> key_digests(const TableSchema& table, std::uint32_t bucket,
                                               std::uint32_t buckets, std::stop_token stop) override {
        const std::lock_guard lock(mutex_);
        const auto columns = GW_TRY(columns_of(table));
        std::vector<DigestColumn> keys;
        for (const auto& k : table.primary_key)
            for (const auto& c : columns)
                if (c.name == k) keys.push_back(c);
        const auto rows =
            GW_TRY(session_.query(key_digest_sql(from(table), columns, keys, bucket, buckets), stop));
        std::vector<KeyDigest> out;
        for (std::size_t i = 0; i < rows.size(); ++i) out.push_back({rows.text(i, 0), rows.text(i, 1)});
        return out;
    }

private:
    [[nodiscard]] std::string from(const TableSchema& table) const {
        const TableName n = context_.name_of(table.name);
        return quote_name(n.schema, n.table);
    }

    Result<std::vector<DigestColumn>> columns_of(const TableSchema& table) {
        const TableName name = context_.name_of(table.name);
        const auto now = GW_TRY(read_table(session_, name));
        if (!now.exists)
            return fail(ErrorCode::not_found, "table " + name.text() + " does not exist on the target");
        std::vector<DigestColumn> out;
        for (const auto& c : table.columns) {
            if (c.generated) continue;
            const TargetColumn* t = now.column(c.name);
            if (t == nullptr)
                return fail(ErrorCode::failed_precondition,
                            "table " + name.text() + " on the target lacks column " + c.name);
            out.push_back(
                {c.name, t->data_type, form() == DigestForm::portable ? c.portable : PortableType{}});
        }
        return out;
    }

    const TargetContext& context_;
    std::mutex mutex_;  // guards session_
    Connection session_;
};

}  // namespace

Result<std::unique_ptr<Target::Snapshot>> take_snapshot(const Sessions& sessions,
                                                        const TargetContext& context) {
    auto c = GW_TRY(sessions.open());
    GW_CHECK(
        c.run("COMMIT; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; "
              "START TRANSACTION WITH CONSISTENT SNAPSHOT"));
    return std::make_unique<MySnapshot>(context, std::move(c));
}

}  // namespace godwit::mysql
