#include "sources/mysql/reached_tables.h"

#include <algorithm>
#include <set>
#include <utility>

#include "sources/mysql/catalogue.h"
#include "sources/mysql/statements.h"

namespace godwit::mysql {
namespace {

constexpr std::chrono::seconds kAskAgain{10};  // a catalogue of many views is not read in no time

bool of_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$';
}

// A name as it is looked for.
struct Name {
    explicit Name(const std::string& name)
        : text(name), word(upper(name)), plain(!name.empty() && std::ranges::all_of(name, of_word)) {}
    const std::string& text;
    std::string word;
    bool plain;
};

// As mentions() for many names: the text is gone through once.
class Words {
public:
    explicit Words(std::string_view text) : text_(text) {
        const auto part = [](char c) { return of_word(c) || static_cast<unsigned char>(c) >= 0x80; };
        for (auto at = text.begin(); (at = std::find_if(at, text.end(), part)) != text.end();) {
            const auto end = std::find_if_not(at, text.end(), part);
            words_.insert(upper(std::string_view(at, end)));
            at = end;
        }
    }
    [[nodiscard]] bool mention(const Name& name) const {
        return name.plain ? words_.contains(name.word) : mentions(text_, name.text);
    }

private:
    std::string_view text_;
    std::set<std::string, std::less<>> words_;
};

}  // namespace

bool of_the_server(std::string_view database, std::string_view sql) {
    const auto tokens = tokens_of(sql);
    std::size_t at = 0;
    const auto word = [&](std::size_t i) {
        return i < tokens.size() && tokens[i].kind == Token::Kind::word ? upper(tokens[i].text)
                                                                        : std::string();
    };
    const auto among = [&](std::string_view w, std::initializer_list<std::string_view> all) {
        return std::ranges::find(all, w) != all.end();
    };
    const auto sign = [&](std::size_t i, std::string_view s) {
        return i < tokens.size() && tokens[i].kind == Token::Kind::sign && tokens[i].text == s;
    };
    if (!among(word(at++), {"INSERT", "REPLACE", "UPDATE", "DELETE"})) return false;
    while (among(word(at), {"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "QUICK", "INTO", "FROM"}))
        ++at;
    const bool qualified = sign(at + 1, ".");
    const std::string schema = qualified && at < tokens.size() ? tokens[at].text : std::string(database);
    at += qualified ? 3 : 1;
    if (!is_system_schema(schema) || sign(at, ",")) return false;
    for (; at < tokens.size(); ++at)
        if (among(word(at), {"SELECT", "TABLE", "JOIN", "USING"})) return false;
    return true;
}

std::vector<TableName> reached_tables(std::string_view sql, const std::vector<StoredCode>& bodies,
                                      const std::vector<TableName>& tables) {
    std::vector<Name> body_names, table_names;
    for (const auto& b : bodies) body_names.emplace_back(b.name);
    for (const auto& t : tables) table_names.emplace_back(t.table);
    std::vector<bool> seen(bodies.size()), reached(tables.size());
    std::vector<std::size_t> left;
    const auto enter = [&](const Words& words) {
        for (std::size_t i = 0; i < bodies.size(); ++i) {
            if (seen[i] || !words.mention(body_names[i])) continue;
            seen[i] = true;
            left.push_back(i);
        }
    };
    enter(Words(sql));
    while (!left.empty()) {
        const StoredCode& body = bodies[left.back()];
        left.pop_back();
        if (!body.text) {
            for (std::size_t i = 0; i < tables.size(); ++i)
                if (tables[i].schema == body.schema) reached[i] = true;
            continue;
        }
        const Words words(*body.text);
        for (std::size_t i = 0; i < tables.size(); ++i)
            if (!reached[i] && words.mention(table_names[i])) reached[i] = true;
        enter(words);
    }
    std::vector<TableName> out;
    for (std::size_t i = 0; i < tables.size(); ++i)
        if (reached[i]) out.push_back(tables[i]);
    return out;
}

Result<std::vector<TableName>> ReachedTables::of(std::string_view database, std::string_view sql,
                                                 const std::vector<TableName>& tables, SteadyTime now) {
    if (!ask_ || tables.empty() || of_the_server(database, sql)) return std::vector<TableName>{};
    if (!asked_ || now - *asked_ >= kAskAgain) {
        bodies_ = GW_TRY(ask_());
        asked_ = now;
    }
    return reached_tables(sql, bodies_, tables);
}

Result<std::vector<StoredCode>> read_bodies(Connection& c) {
    // An empty definition is one that this user may not see.
    constexpr std::pair<const char*, const char*> kQueries[] = {
        {"SELECT TABLE_SCHEMA, TABLE_NAME, NULLIF(VIEW_DEFINITION, '') FROM information_schema.VIEWS WHERE ",
         "TABLE_SCHEMA"},
        {"SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, NULLIF(ACTION_STATEMENT, '') FROM "
         "information_schema.TRIGGERS WHERE ",
         "EVENT_OBJECT_SCHEMA"},
        {"SELECT ROUTINE_SCHEMA, ROUTINE_NAME, NULLIF(ROUTINE_DEFINITION, '') FROM "
         "information_schema.ROUTINES WHERE ",
         "ROUTINE_SCHEMA"}};
    std::vector<StoredCode> out;
    for (const auto& [select, schema] : kQueries) {
        const auto rows =
            GW_TRY(c.query(std::string(select) + schema +
                           " NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys', 'godwit')"));
        for (std::size_t i = 0; i < rows.size(); ++i)
            out.push_back({rows.text(i, 0), rows.text(i, 1),
                           rows.null(i, 2) ? std::optional<std::string>() : rows.text(i, 2)});
    }
    return out;
}

}  // namespace godwit::mysql
