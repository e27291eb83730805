#include "sources/mysql/statements.h"

#include <algorithm>
#include <charconv>

namespace godwit::mysql {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
char upper_of(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }
bool of_word(char c) {
    return digit(c) || (upper_of(c) >= 'A' && upper_of(c) <= 'Z') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

// Steps over blanks, `signs` and comments; what stands in /*!50000 ... */ is text.
void skip_blanks(std::string_view& s, std::string_view signs = ";(") {
    for (;;) {
        while (!s.empty() && (blank(s.front()) || signs.find(s.front()) != std::string_view::npos))
            s.remove_prefix(1);
        if (s.starts_with("/*!") || s.starts_with("/*M!")) {
            s.remove_prefix(s[2] == 'M' ? 4 : 3);
            while (!s.empty() && digit(s.front())) s.remove_prefix(1);
        } else if (s.starts_with("*/")) {
            s.remove_prefix(2);
        } else if (s.starts_with("/*")) {
            const std::size_t end = s.find("*/", 2);
            s = end == std::string_view::npos ? std::string_view{} : s.substr(end + 2);
        } else if (s.starts_with("-- ") || s.starts_with("--\n") || s.starts_with("#")) {
            const std::size_t end = s.find('\n');
            s = end == std::string_view::npos ? std::string_view{} : s.substr(end + 1);
        } else {
            return;
        }
    }
}

std::string word(std::string_view& s) {
    skip_blanks(s);
    std::string out;
    while (!s.empty() && of_word(s.front())) {
        out += upper_of(s.front());
        s.remove_prefix(1);
    }
    return out;
}

std::string rest_of(std::string_view s) {
    skip_blanks(s);
    while (!s.empty() && (blank(s.back()) || s.back() == ';')) s.remove_suffix(1);
    if (s.size() >= 2 && s.front() == '`' && s.back() == '`') s = s.substr(1, s.size() - 2);
    return upper(s);
}

int nibble(char c) {
    if (digit(c)) return c - '0';
    c = upper_of(c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// X'6162' or 'ab'
bool read_name(std::string_view& s, std::string& to) {
    skip_blanks(s);
    const bool hex = !s.empty() && upper_of(s.front()) == 'X';
    if (hex) s.remove_prefix(1);
    if (s.empty() || s.front() != '\'') return false;
    const std::size_t end = s.find('\'', 1);
    if (end == std::string_view::npos) return false;
    const std::string_view text = s.substr(1, end - 1);
    s.remove_prefix(end + 1);
    if (!hex) {
        to = text;
        return true;
    }
    if (text.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = nibble(text[i]), low = nibble(text[i + 1]);
        if (high < 0 || low < 0) return false;
        to += static_cast<char>(high * 16 + low);
    }
    return true;
}

std::optional<XaId> read_xa(std::string_view s) {
    XaId xa;
    if (!read_name(s, xa.global)) return std::nullopt;
    skip_blanks(s);
    if (!s.starts_with(',')) return xa;
    s.remove_prefix(1);
    if (!read_name(s, xa.branch)) return std::nullopt;
    skip_blanks(s);
    if (!s.starts_with(',')) return xa;
    s.remove_prefix(1);
    skip_blanks(s);
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), xa.format);
    if (error != std::errc{}) return std::nullopt;
    return xa;
}

constexpr std::string_view kRows[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH"};
constexpr std::string_view kDdl[] = {"CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "IMPORT"};
constexpr std::string_view kHarmless[] = {
    "BINLOG",    "CACHE",  "CHANGE",  "CHECK",     "CHECKSUM", "DEALLOCATE", "EXPLAIN", "FLUSH",
    "GRANT",     "HELP",   "INSTALL", "KILL",      "LOCK",     "OPTIMIZE",   "PREPARE", "PURGE",
    "REPAIR",    "RESET",  "REVOKE",  "SET",       "SHOW",     "SHUTDOWN",   "START",   "STOP",
    "UNINSTALL", "UNLOCK", "USE",     "DELIMITER", ""};

template <class List>
bool among(const List& list, std::string_view w) {
    return std::ranges::find(list, w) != std::end(list);
}

}  // namespace

std::string upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) { return upper_of(c); });
    return out;
}

bool same_but_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return upper_of(x) == upper_of(y); });
}

bool has_high_bytes(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

Statement read_statement(std::string_view sql) {
    Statement s;
    const std::string first = word(sql);
    if (first == "BEGIN") {
        s.kind = StatementKind::begin;
    } else if (first == "COMMIT") {
        s.kind = StatementKind::commit;
    } else if (first == "ROLLBACK") {
        s.kind = StatementKind::rollback;
        std::string_view rest = sql;
        std::string next = word(rest);
        if (next == "WORK") next = word(rest);
        if (next == "TO") {
            s.kind = StatementKind::rollback_to;
            std::string_view name = rest;
            if (word(name) != "SAVEPOINT") name = rest;
            s.savepoint = rest_of(name);
        }
    } else if (first == "SAVEPOINT") {
        s.kind = StatementKind::savepoint;
        s.savepoint = rest_of(sql);
    } else if (first == "RELEASE") {
        s.kind = StatementKind::release;
    } else if (first == "XA") {
        const std::string verb = word(sql);
        s.kind = verb == "START" || verb == "BEGIN" ? StatementKind::xa_start
                 : verb == "END"                    ? StatementKind::xa_end
                 : verb == "PREPARE"                ? StatementKind::xa_prepare
                 : verb == "COMMIT"                 ? StatementKind::xa_commit
                 : verb == "ROLLBACK"               ? StatementKind::xa_rollback
                                                    : StatementKind::harmless;
        s.xa = read_xa(sql);
    } else if (among(kRows, first)) {
        s.kind = StatementKind::rows;
    } else if (among(kDdl, first)) {
        s.kind = StatementKind::ddl;
        std::string_view rest = sql;
        std::string second = word(rest);
        if (second == "OR") {  // CREATE OR REPLACE
            word(rest);
            second = word(rest);
        }
        if (second == "TEMPORARY") s.kind = StatementKind::harmless;
    } else if (first == "ANALYZE") {  // a statement that is carried out, or tables
        const std::string next = word(sql);
        s.kind = next.starts_with("TABLE") || next == "LOCAL" || next == "NO_WRITE_TO_BINLOG"
                     ? StatementKind::harmless
                     : StatementKind::rows;
    } else if (among(kHarmless, first)) {
        s.kind = StatementKind::harmless;
    } else {
        s.kind = StatementKind::routine;
    }
    return s;
}

namespace {

// Takes the next one from the front; nothing at the end.
std::optional<Token> next_token(std::string_view& sql) {
    skip_blanks(sql, ";");
    if (sql.empty()) return {};
    Token token;
    const char first = sql.front();
    if (of_word(first)) {
        while (!sql.empty() && of_word(sql.front())) {
            token.text += sql.front();
            sql.remove_prefix(1);
        }
    } else if (first == '\'' || first == '"' || first == '`') {
        // A doubled quote ends one text and begins the next.
        token.kind = first == '`' ? Token::Kind::name : Token::Kind::text;
        sql.remove_prefix(1);
        while (!sql.empty() && sql.front() != first) {
            if (sql.front() == '\\' && first != '`') sql.remove_prefix(1);
            if (sql.empty()) break;
            token.text += sql.front();
            sql.remove_prefix(1);
        }
        if (!sql.empty()) sql.remove_prefix(1);
    } else {
        token.kind = Token::Kind::sign;
        token.text = first;
        sql.remove_prefix(1);
    }
    return token;
}

bool is_word(const std::optional<Token>& token, std::string_view word) {
    return token && token->kind == Token::Kind::word && same_but_case(token->text, word);
}

// Variables that decide how long a statement may take or in which way it is carried out.
constexpr std::string_view kHarmlessVariables[] = {
    "ALTER_ALGORITHM",  "FOREIGN_KEY_CHECKS", "INNODB_LOCK_WAIT_TIMEOUT", "LOCK_WAIT_TIMEOUT",
    "LONG_QUERY_TIME",  "MAX_STATEMENT_TIME", "NET_READ_TIMEOUT",         "NET_WRITE_TIMEOUT",
    "SORT_BUFFER_SIZE", "UNIQUE_CHECKS",      "WSREP_OSU_METHOD"};

}  // namespace

BareStatement without_settings(std::string_view sql) {
    BareStatement out{sql};
    for (;;) {
        std::string_view rest = out.sql;
        if (!is_word(next_token(rest), "SET") || !is_word(next_token(rest), "STATEMENT")) return out;
        int depth = 0;
        bool variable = true, harmless = true;
        for (;;) {
            const auto token = next_token(rest);
            if (!token) return out;
            if (depth == 0 && is_word(token, "FOR")) break;
            const bool sign = token->kind == Token::Kind::sign;
            if (sign && token->text == "(") ++depth;
            if (sign && token->text == ")") --depth;
            if (variable) harmless = harmless && among(kHarmlessVariables, upper(token->text));
            variable = depth == 0 && sign && token->text == ",";
        }
        skip_blanks(rest, ";");
        out = {rest, out.harmless && harmless};
    }
}

std::vector<Token> tokens_of(std::string_view sql) {
    std::vector<Token> out;
    while (auto token = next_token(sql)) out.push_back(std::move(*token));
    return out;
}

std::vector<std::string> words_of(std::string_view sql) {
    std::vector<std::string> out;
    for (auto& token : tokens_of(sql)) {
        if (token.kind == Token::Kind::word) {
            out.push_back(upper(token.text));
        } else if (token.kind == Token::Kind::name) {
            out.push_back('`' + token.text);
        }
    }
    return out;
}

bool mentions(std::string_view sql, std::string_view name) {
    if (name.empty()) return false;
    // The text may be in another character set than our names.
    if (has_high_bytes(name)) return has_high_bytes(sql);
    std::string quoted;  // a backtick is doubled within backticks
    for (const char c : name) {
        quoted += upper_of(c);
        if (c == '`') quoted += '`';
    }
    const auto same = [](char a, char b) { return upper_of(a) == b; };
    auto at = sql.begin();
    while ((at = std::search(at, sql.end(), quoted.begin(), quoted.end(), same)) != sql.end()) {
        const auto end = at + static_cast<std::ptrdiff_t>(quoted.size());
        const bool front = at == sql.begin() || !of_word(*(at - 1)) || !of_word(quoted.front());
        const bool back = end == sql.end() || !of_word(*end) || !of_word(quoted.back());
        if (front && back) return true;
        ++at;
    }
    return false;
}

}  // namespace godwit::mysql
