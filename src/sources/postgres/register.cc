#include "sources/postgres/register.h"

#include "sources/postgres/connect.h"
#include "sources/postgres/source.h"

namespace godwit::postgres {

Result<std::unique_ptr<Source>> make_source(const EndpointConfig& endpoint, const TaskContext& context) {
    return std::make_unique<PostgresSource>(endpoint, context);
}

Result<ProbeResult> probe(const EndpointConfig& endpoint) {
    auto c = GW_TRY(pg::Connection::open(source_options(endpoint, "probe", "probe")));
    ProbeResult result;
    result.traits.family = "postgres";
    result.traits.version = c.server_version();
    const auto rows = GW_TRY(
        c.query("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> "
                "'information_schema' ORDER BY 1"));
    for (int i = 0; i < rows.size(); ++i) result.schemas.push_back(rows.text(i, 0));
    return result;
}

}  // namespace godwit::postgres
