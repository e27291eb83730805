#pragma once
// What a statement in the binary log is, as far as decoding needs to know. Pure functions of its text.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/mysql/binlog_events.h"

namespace godwit::mysql {

enum class StatementKind : std::uint8_t {
    begin,
    commit,
    rollback,
    rollback_to,
    savepoint,
    release,
    xa_start,
    xa_end,
    xa_prepare,
    xa_commit,
    xa_rollback,
    rows,      // INSERT, UPDATE, DELETE, REPLACE, LOAD: changes rows of what it names
    routine,   // CALL, DO, SELECT of a function: may change rows of anything
    ddl,       // CREATE, ALTER, DROP, RENAME, TRUNCATE
    harmless,  // changes neither rows nor tables
};

struct Statement {
    StatementKind kind = StatementKind::harmless;
    std::string savepoint;  // rollback_to, savepoint
    std::optional<XaId> xa;
};
[[nodiscard]] Statement read_statement(std::string_view sql);

// MariaDB's SET STATEMENT variable = value, ... FOR statement, as the log has it: the statement itself.
// `harmless`: none of the variables bears on what it does or how it reads.
struct BareStatement {
    std::string_view sql;
    bool harmless = true;
};
[[nodiscard]] BareStatement without_settings(std::string_view sql);

// A piece of a statement: a word or number as it is written, a name without its backticks, a text without its
// quotes, or a sign.
struct Token {
    enum class Kind : std::uint8_t { word, name, text, sign } kind = Kind::word;
    std::string text;
};
[[nodiscard]] std::vector<Token> tokens_of(std::string_view sql);

// Its words in upper case. A quoted name is a word that no keyword equals; texts, signs and remarks are left
// out.
[[nodiscard]] std::vector<std::string> words_of(std::string_view sql);

// Letters of ASCII in upper case, others as they are.
[[nodiscard]] std::string upper(std::string_view text);
[[nodiscard]] bool same_but_case(std::string_view a, std::string_view b);
// Beyond ASCII: the text of a statement may spell it otherwise, by its character set.
[[nodiscard]] bool has_high_bytes(std::string_view text);

// The text has `name` in it as a word, in any case: it may be about the table of that name.
[[nodiscard]] bool mentions(std::string_view sql, std::string_view name);

}  // namespace godwit::mysql
