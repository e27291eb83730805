#include "sources/postgres/publications.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "base/failpoint.h"
#include "base/files.h"

namespace godwit::postgres {
namespace {

constexpr std::size_t kTablesPerStatement = 500;
constexpr int kAttempts = 3;

// '{"a","b\"c"}'
std::string array_literal(const std::vector<TableName>& tables, std::string TableName::* part) {
    std::string out = "{";
    for (const auto& t : tables) {
        if (out.size() > 1) out += ',';
        out += '"';
        for (const char c : t.*part) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    return out + "}";
}

std::string listed(const std::vector<TableName>& tables) {
    std::string out;
    for (std::size_t i = 0; i < tables.size() && i < 10; ++i) out += (i == 0 ? "" : ", ") + tables[i].text();
    if (tables.size() > 10) out += fmt::format(" and {} more", tables.size() - 10);
    return out;
}

std::string why_unusable(const IdentityFacts& relation) {
    switch (relation.replica_identity) {
        case 'n':
            return "its replica identity is NOTHING";
        case 'i':
            return "the index of its replica identity was dropped";
        default:
            return relation.deferrable_key ? "its primary key is deferrable" : "it has no primary key";
    }
}

Result<> run_all(pg::Connection& session, const std::vector<std::string>& statements) {
    for (const auto& sql : statements) GW_CHECK(session.run(sql));
    return {};
}

// ALTER PUBLICATION ... {ADD|DROP} TABLE ONLY a, ONLY b
void alter_tables(std::vector<std::string>& to, const std::string& publication, std::string_view verb,
                  const std::vector<TableName>& tables) {
    for (std::size_t from = 0; from < tables.size(); from += kTablesPerStatement) {
        std::string sql = fmt::format("ALTER PUBLICATION {} {} TABLE ", pg::quote_name(publication), verb);
        for (std::size_t i = from; i < tables.size() && i < from + kTablesPerStatement; ++i)
            sql += (i == from ? "ONLY " : ", ONLY ") + pg::quote_name(tables[i].schema, tables[i].table);
        to.push_back(std::move(sql));
    }
}

std::vector<TableName> sorted(std::vector<TableName> tables) {
    std::ranges::sort(tables);
    return tables;
}

struct State {
    bool exists = false, ours = true;
    std::vector<TableName> tables;
    std::map<TableName, std::uint64_t> ids;
};

Result<std::map<std::string, State>> read_states(pg::Connection& session, const PublicationNames& names) {
    const auto rows = GW_TRY(session.query(
        "SELECT p.pubname, pg_has_role(p.pubowner, 'USAGE'), n.nspname, c.relname, c.oid FROM pg_publication "
        "p"
        " LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid LEFT JOIN pg_class c ON c.oid = r.prrelid"
        " LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname IN ($1, $2) ORDER BY 1, 3, 4",
        {names.all, names.inserts}));
    std::map<std::string, State> states{{names.all, {}}, {names.inserts, {}}};
    for (int i = 0; i < rows.size(); ++i) {
        State& state = states[rows.text(i, 0)];
        state.exists = true;
        state.ours = rows.flag(i, 1);
        if (rows.null(i, 2)) continue;
        state.tables.push_back({rows.text(i, 2), rows.text(i, 3)});
        state.ids[state.tables.back()] = static_cast<std::uint64_t>(rows.number(i, 4));
    }
    return states;
}

}  // namespace

NamedRows name_rows(const IdentityFacts& table, const std::vector<IdentityFacts>& leaves) {
    if (leaves.empty()) return name_rows(table, {table});
    NamedRows out;
    if (std::ranges::all_of(leaves, [](const auto& l) { return l.replica_identity == 'f'; })) {
        out.identity = RowIdentity::full;
        out.columns = table.key;
        return out;
    }
    const auto sorted = [](std::vector<std::string> names) {
        std::ranges::sort(names);
        return names;
    };
    const auto named_by = [](const IdentityFacts& l) {
        if (l.replica_identity == 'n') return std::vector<std::string>{};
        return l.replica_identity == 'i' ? l.index : l.key;
    };
    const auto columns = sorted(named_by(leaves.front()));
    for (const auto& l : leaves) {
        const std::string where = leaves.size() > 1 ? fmt::format(" (partition {})", l.name) : "";
        const auto mine = sorted(named_by(l));
        if (mine.empty())
            out.why_none = l.replica_identity == 'f'
                               ? "it has no primary key, and other partitions are not FULL" + where
                               : why_unusable(l) + where;
        else if (mine != columns)
            out.why_none = "its partitions are identified by different columns" + where;
        if (!out.why_none.empty()) return out;
    }
    const auto& own = sorted(table.index) == columns ? table.index : table.key;
    if (sorted(own) != columns) {
        out.why_none = "what identifies rows in its partitions is no key of the whole table";
        return out;
    }
    out.identity = RowIdentity::key;
    out.columns = own;
    return out;
}

Result<std::vector<TableIdentity>> read_identities(pg::Connection& session,
                                                   const std::vector<TableName>& tables) {
    const auto rows = GW_TRY(session.query(
        // nothing here may lock a table: an ALTER in flight would keep us waiting
        "WITH RECURSIVE root AS (SELECT w.ord, c.oid, c.relkind, c.relpersistence, pg_has_role(c.relowner, "
        "'USAGE') AS "
        "owned,"
        "   pg_get_userbyid(c.relowner) AS owner"
        "  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(s, t, ord)"
        "  JOIN pg_namespace n ON n.nspname = w.s JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = "
        "w.t),"
        " part AS (SELECT ord, oid AS relid, relkind FROM root WHERE relkind = 'p'"
        "  UNION ALL SELECT p.ord, k.oid, k.relkind FROM part p JOIN pg_inherits i ON i.inhparent = p.relid"
        "   JOIN pg_class k ON k.oid = i.inhrelid),"
        " judged AS (SELECT f.ord, f.leaf, l.oid, l.relname, l.relreplident, i.indisprimary, "
        "i.indisreplident, i.indkey, i.indnkeyatts,"
        "   EXISTS (SELECT FROM pg_index d WHERE d.indrelid = l.oid AND d.indisprimary AND NOT "
        "d.indimmediate) AS deferred"
        "  FROM (SELECT ord, relid, true AS leaf FROM part WHERE relkind <> 'p' UNION ALL"
        "   SELECT ord, oid, false FROM root) f JOIN pg_class l ON l.oid = f.relid"
        "   AND l.relkind <> 'f' AND l.relpersistence = 'p'"
        "  LEFT JOIN pg_index i ON i.indrelid = l.oid AND (i.indisprimary OR i.indisreplident)"
        "   AND i.indimmediate AND i.indisvalid AND i.indislive AND i.indisunique AND i.indpred IS NULL"
        "   AND NOT EXISTS (SELECT FROM pg_attribute g WHERE g.attrelid = l.oid AND g.attgenerated <> ''"
        "    AND g.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))"
        " SELECT r.ord, r.oid, r.relkind IN ('r', 'p') AND r.relpersistence = 'p', r.owned, r.owner,"
        "  j.oid, j.relname, j.relreplident, j.deferred, j.leaf, j.indisprimary, j.indisreplident, a.attname"
        " FROM root r LEFT JOIN judged j ON j.ord = r.ord"
        "  LEFT JOIN LATERAL generate_series(0, j.indnkeyatts - 1) k ON true"
        "  LEFT JOIN pg_attribute a ON a.attrelid = j.oid AND a.attnum = j.indkey[k]"
        " ORDER BY r.ord, j.leaf, j.oid, a.attnum",
        {array_literal(tables, &TableName::schema), array_literal(tables, &TableName::table)}));

    std::vector<TableIdentity> out(tables.size());
    std::vector<IdentityFacts> roots(tables.size());
    std::vector<std::vector<IdentityFacts>> leaves(tables.size());
    std::string leaf_oid;
    for (int i = 0; i < rows.size(); ++i) {
        const auto at = static_cast<std::size_t>(rows.number(i, 0) - 1);
        TableIdentity& t = out[at];
        t.oid = static_cast<std::uint32_t>(rows.number(i, 1));
        t.publishable = rows.flag(i, 2);
        t.owned = rows.flag(i, 3);
        t.owner = rows.text(i, 4);
        if (rows.null(i, 5)) continue;
        const bool leaf = rows.flag(i, 9);
        if (leaf && (leaves[at].empty() || leaf_oid != rows.text(i, 5))) {
            leaf_oid = rows.text(i, 5);
            leaves[at].emplace_back();
        }
        IdentityFacts& facts = leaf ? leaves[at].back() : roots[at];
        facts.name = rows.text(i, 6);
        facts.replica_identity = rows.text(i, 7)[0];
        facts.deferrable_key = rows.flag(i, 8);
        if (rows.null(i, 12)) continue;
        if (rows.flag(i, 10)) facts.key.push_back(rows.text(i, 12));
        if (rows.flag(i, 11)) facts.index.push_back(rows.text(i, 12));
    }
    for (std::size_t i = 0; i < tables.size(); ++i) {
        out[i].name = tables[i];
        if (out[i].oid == 0)
            out[i].why_none = "it does not exist";
        else if (!out[i].publishable)
            out[i].why_none = "it is not a permanent table";
        else
            static_cast<NamedRows&>(out[i]) = name_rows(roots[i], leaves[i]);
    }
    return out;
}

PublicationNames publication_names(const std::string& slot) { return {slot, "i" + slot}; }

Result<PublishedTables> read_publications(pg::Connection& session, const std::string& slot) {
    const auto names = publication_names(slot);
    auto states = GW_TRY(read_states(session, names));
    std::set<std::uint64_t> ids, inserts_ids;
    for (const auto& [name, state] : states)
        for (const auto& [table, id] : state.ids) {
            ids.insert(id);
            if (name == names.inserts) inserts_ids.insert(id);
        }
    return PublishedTables{states[names.all].exists && states[names.inserts].exists,
                           std::move(states[names.all].tables), std::move(states[names.inserts].tables),
                           std::move(ids), std::move(inserts_ids)};
}

Result<> check_publication_rights(pg::Connection& session, const std::string& slot,
                                  const std::vector<TableName>& tables) {
    const auto names = publication_names(slot);
    const auto states = GW_TRY(read_states(session, names));
    const auto who = GW_TRY(session.query(
        "SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE')"));
    std::string missing;
    const auto add = [&](const std::string& part) { missing += (missing.empty() ? "" : "; ") + part; };
    const std::string user = pg::quote_name(who.text(0, 0));

    std::set<TableName> published;
    bool create = false;
    for (const auto& [name, state] : states) {
        create = create || !state.exists;
        if (!state.ours) add(fmt::format("publication {} belongs to another role", pg::quote_name(name)));
        published.insert(state.tables.begin(), state.tables.end());
    }
    if (create && !who.flag(0, 2))
        add(fmt::format("GRANT CREATE ON DATABASE {} TO {}", pg::quote_name(who.text(0, 1)), user));
    std::map<std::string, std::vector<TableName>> foreign;  // by owner
    for (const auto& t : GW_TRY(read_identities(session, tables)))
        if (t.publishable && !t.owned && !published.contains(t.name)) foreign[t.owner].push_back(t.name);
    for (const auto& [owner, names_of_owner] : foreign)
        add(fmt::format("GRANT {} TO {} (the owner of {})", pg::quote_name(owner), user,
                        listed(names_of_owner)));
    if (missing.empty()) return {};
    return fail(ErrorCode::permission_denied,
                fmt::format("user {} cannot publish these tables' changes. Missing: {}. Or set "
                            "PluginName=test_decoding, which needs no publication",
                            user, missing));
}

Result<PublicationChanges> mend_publications(pg::Connection& session, const std::string& slot,
                                             const std::vector<TableName>& tables,
                                             const std::vector<TableName>& promote,
                                             const std::set<std::uint64_t>& ids) {
    const auto names = publication_names(slot);
    const std::set<TableName> may_rise(promote.begin(), promote.end());
    for (int attempt = 1;; ++attempt) {
        PublicationChanges changes;
        changes.tables = GW_TRY(read_identities(session, tables));
        auto states = GW_TRY(read_states(session, names));
        State& all = states[names.all];
        State& inserts = states[names.inserts];
        const std::set<TableName> in_all(all.tables.begin(), all.tables.end());
        const std::set<TableName> in_inserts(inserts.tables.begin(), inserts.tables.end());

        std::vector<TableName> all_add, all_drop, inserts_add, inserts_drop;
        std::set<TableName> wanted;
        for (const auto& t : changes.tables) {
            if (!t.publishable || (!ids.empty() && !ids.contains(t.oid))) continue;
            if (!wanted.insert(t.name).second) continue;
            const bool usable = t.identity != RowIdentity::none || !GW_RULE("publish.identity");
            const bool is_all = in_all.contains(t.name), is_inserts = in_inserts.contains(t.name);
            const bool to_all = usable && (is_all || !is_inserts || may_rise.contains(t.name));
            if (usable && !to_all) changes.promotable.push_back(t.name);
            if (!is_all && !is_inserts) changes.added.push_back(t.name);
            if (to_all && !is_all && is_inserts) changes.promoted.push_back(t.name);
            if (!to_all && is_all) changes.demoted.push_back(t.name);
            if (to_all != is_all) (to_all ? all_add : all_drop).push_back(t.name);
            if (to_all == is_inserts) (to_all ? inserts_drop : inserts_add).push_back(t.name);
        }
        std::set<TableName> gone;
        for (const auto& [state, drop] : {std::pair{&all, &all_drop}, std::pair{&inserts, &inserts_drop}})
            for (const auto& [t, id] : state->ids)
                if (!wanted.contains(t) && !ids.contains(id)) {
                    drop->push_back(t);
                    gone.insert(t);
                }
        changes.removed.assign(gone.begin(), gone.end());
        // by number, what each is to hold: a name may go to another table before we use it
        std::set<std::uint64_t> all_ids, inserts_ids;
        for (const auto& [state, drop, left] :
             {std::tuple{&all, &all_drop, &all_ids}, std::tuple{&inserts, &inserts_drop, &inserts_ids}})
            for (const auto& [t, id] : state->ids)
                if (std::ranges::find(*drop, t) == drop->end()) left->insert(id);
        for (const auto& t : changes.tables) {
            if (std::ranges::find(all_add, t.name) != all_add.end()) all_ids.insert(t.oid);
            if (std::ranges::find(inserts_add, t.name) != inserts_add.end()) inserts_ids.insert(t.oid);
        }

        std::vector<std::string> statements;
        const auto create = [&](const std::string& name, const char* operations) {
            statements.push_back(
                fmt::format("CREATE PUBLICATION {} WITH (publish = '{}', publish_via_partition_root = true)",
                            pg::quote_name(name), operations));
        };
        if (!all.exists) create(names.all, "insert, update, delete, truncate");
        if (!inserts.exists) create(names.inserts, "insert, truncate");
        // dropped first: what must not publish updates stops to do so whatever comes later
        alter_tables(statements, names.all, "DROP", sorted(all_drop));
        alter_tables(statements, names.inserts, "DROP", sorted(inserts_drop));
        alter_tables(statements, names.inserts, "ADD", sorted(inserts_add));
        alter_tables(statements, names.all, "ADD", sorted(all_add));
        if (statements.empty()) return changes;

        const auto attempt_once = [&]() -> Result<bool> {
            // ADD TABLE waits for VACUUM and index builds only, never for the application's statements
            GW_CHECK(session.run("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '10s'"));
            GW_CHECK(run_all(session, statements));
            // ADD TABLE holds a lock that keeps an identity from being dropped: what is true now stays so
            for (const auto& t : GW_TRY(read_identities(session, all_add)))
                if (t.identity == RowIdentity::none && GW_RULE("publish.identity")) return false;
            auto after = GW_TRY(read_states(session, names));
            const auto holds = [](const State& state, const std::set<std::uint64_t>& wanted_ids) {
                std::set<std::uint64_t> held;
                for (const auto& [t, id] : state.ids) held.insert(id);
                return held == wanted_ids;
            };
            if (!holds(after[names.all], all_ids) || !holds(after[names.inserts], inserts_ids)) return false;
            GW_CHECK(session.run("COMMIT"));
            return true;
        };
        auto done = attempt_once();
        if (done && *done) return changes;
        [[maybe_unused]] auto undone = session.run("ROLLBACK");
        const bool again = done ? true
                                : done.error().code == ErrorCode::not_found ||
                                      done.error().code == ErrorCode::aborted ||
                                      done.error().code == ErrorCode::already_exists;
        if (again && attempt < kAttempts) continue;
        if (done) return fail(ErrorCode::aborted, "tables changed while they were published", Retry::call);
        if (done.error().code == ErrorCode::permission_denied)
            GW_CHECK(check_publication_rights(session, slot, tables));
        return std::unexpected(std::move(done).error().with("publications of slot " + slot));
    }
}

Result<> drop_publications(pg::Connection& session, const std::string& slot) {
    const auto names = publication_names(slot);
    auto dropped = session.run(fmt::format("DROP PUBLICATION IF EXISTS {}, {}", pg::quote_name(names.all),
                                           pg::quote_name(names.inserts)));
    if (!dropped) return std::unexpected(std::move(dropped).error().with("publications of slot " + slot));
    return {};
}

Result<ForeignPublication> read_foreign_publication(pg::Connection& session, const std::string& name) {
    const auto rows =
        GW_TRY(session.query("SELECT p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, "
                             "coalesce((to_jsonb(p)->>'pubviaroot')::bool, false),"
                             " t.schemaname, t.tablename, concat(p.oid, ' ', p.xmin) FROM pg_publication p "
                             "LEFT JOIN pg_publication_tables t USING (pubname)"
                             " WHERE p.pubname = $1 ORDER BY 6, 7",
                             {name}));
    if (rows.size() == 0)
        return fail(ErrorCode::not_found, fmt::format("publication \"{}\" does not exist", name));
    ForeignPublication out{rows.flag(0, 0),
                           rows.flag(0, 1),
                           rows.flag(0, 2),
                           rows.flag(0, 3),
                           rows.flag(0, 4),
                           {},
                           {},
                           {},
                           rows.text(0, 7),
                           {}};
    for (int i = 0; i < rows.size(); ++i)
        if (!rows.null(i, 5)) out.tables.push_back({rows.text(i, 5), rows.text(i, 6)});
    const auto listed = GW_TRY(session.query(
        "SELECT n.nspname, c.relname, j->>'prattrs' IS NOT NULL OR j->>'prqual' IS NOT NULL, c.oid,"
        " concat(r.oid, ' ', r.xmin)"
        " FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
        " JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace, to_jsonb(r) j"
        " WHERE p.pubname = $1",
        {name}));
    for (int i = 0; i < listed.size(); ++i) {
        TableName table{listed.text(i, 0), listed.text(i, 1)};
        if (listed.flag(i, 2)) out.limited.insert(table);
        out.versions[static_cast<std::uint64_t>(listed.number(i, 3))] = listed.text(i, 4);
        out.listed.insert(std::move(table));
    }
    return out;
}

Result<> PublicationWatch::look(const ForeignPublication& now) {
    if (!std::exchange(read_, true)) {
        const auto text = read_file(file_);
        std::istringstream in(text.value_or(""));
        std::uint64_t id = 0;
        for (std::string version; in >> id && std::getline(in >> std::ws, version);)
            before_[id] = std::move(version);
    }
    if (told_ && before_ != now_) {
        std::string text;
        for (const auto& [id, version] : now_) text += fmt::format("{} {}\n", id, version);
        GW_CHECK(write_file(file_, text, true));
        before_ = std::move(now_);
    }
    told_ = false;
    now_ = now.versions;
    now_[0] = now.version;
    return {};
}

bool PublicationWatch::touched(std::uint64_t source_id) const {
    const auto differs = [&](std::uint64_t id) {
        const auto before = before_.find(id), now = now_.find(id);
        return before != before_.end() && now != now_.end() && before->second != now->second;
    };
    return differs(0) || differs(source_id);
}

void PublicationWatch::forget() {
    before_.clear();
    now_.clear();
    told_ = false;
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
}

Result<> check_foreign_publication(pg::Connection& session, const std::string& name,
                                   const std::vector<TableSchema>& tables) {
    const auto p = GW_TRY(read_foreign_publication(session, name));
    const std::set<TableName> published(p.tables.begin(), p.tables.end());
    std::vector<TableName> missing, limited;
    bool partitioned = false, keyed = false;
    for (const auto& t : tables) {
        partitioned = partitioned || t.partitioned;
        keyed = keyed || t.identity != RowIdentity::none;
        if (p.limited.contains(t.name)) limited.push_back(t.name);
        if (!published.contains(t.name) && !(t.partitioned && !p.via_root)) missing.push_back(t.name);
    }
    const std::string quoted = pg::quote_name(name);
    std::string lacks;
    const auto add = [&](const std::string& part) { lacks += (lacks.empty() ? "" : "; ") + part; };
    if (!p.inserts || !p.truncates || (keyed && (!p.updates || !p.deletes)))
        add(fmt::format("ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate')", quoted));
    if (partitioned && !p.via_root)
        add(fmt::format("ALTER PUBLICATION {} SET (publish_via_partition_root = true)", quoted));
    if (!missing.empty()) add(fmt::format("ALTER PUBLICATION {} ADD TABLE {}", quoted, listed(missing)));
    if (!limited.empty()) add("no column list and no WHERE for " + listed(limited));
    if (lacks.empty()) return {};
    return fail(ErrorCode::failed_precondition,
                fmt::format("publication {} (PublicationName) does not publish all that this task follows. "
                            "Missing: {}. Or leave PublicationName out",
                            quoted, lacks));
}

}  // namespace godwit::postgres
