#include "mapping/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

namespace godwit::mapping {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kDocumentBytesMax = 2U << 20;

// UTF-8 to code points; a byte that is no UTF-8 stands for itself.
std::u32string code_points(std::string_view text) {
    std::u32string out;
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80       ? 1
                                   : lead >> 5 == 6  ? 2
                                   : lead >> 4 == 14 ? 3
                                   : lead >> 3 == 30 ? 4
                                                     : 1;
        char32_t point = length == 1 ? lead : lead & (0xFFU >> (length + 1));
        std::size_t used = 1;
        while (used < length && i + used < text.size() &&
               (static_cast<unsigned char>(text[i + used]) & 0xC0) == 0x80)
            point = (point << 6) | (static_cast<unsigned char>(text[i + used++]) & 0x3FU);
        if (used != length) {
            point = lead;
            used = 1;
        }
        out.push_back(point);
        i += used;
    }
    return out;
}

// A DMS name pattern: % _ and sets in brackets.
class Pattern {
public:
    // nothing: a set starts with ^ or !
    static std::optional<Pattern> compile(std::string_view pattern) {
        const std::u32string p = code_points(pattern);
        Pattern out;
        for (std::size_t i = 0; i < p.size(); ++i) {
            if (p[i] == U'%') {
                out.tokens_.push_back({Token::Kind::any_run, {}});
                out.literal_ = false;
            } else if (p[i] == U'_') {
                out.tokens_.push_back({Token::Kind::any_one, {}});
                out.literal_ = false;
            } else if (p[i] == U'[') {
                // the first character of a set may be ']', so search from the second on
                const std::size_t close = i + 2 <= p.size() ? p.find(U']', i + 2) : std::u32string::npos;
                if (close == std::u32string::npos) {
                    out.tokens_.push_back({Token::Kind::set, {{p[i], p[i]}}});
                    continue;
                }
                if (p[i + 1] == U'^' || p[i + 1] == U'!') return std::nullopt;
                Token token{Token::Kind::set, {}};
                for (std::size_t j = i + 1; j < close; ++j) {
                    if (j + 2 < close && p[j + 1] == U'-') {
                        token.ranges.push_back({p[j], p[j + 2]});
                        j += 2;
                    } else {
                        token.ranges.push_back({p[j], p[j]});
                    }
                }
                if (token.ranges.size() != 1 || token.ranges[0].low != token.ranges[0].high)
                    out.literal_ = false;
                out.tokens_.push_back(std::move(token));
                i = close;
            } else {
                out.tokens_.push_back({Token::Kind::set, {{p[i], p[i]}}});
            }
        }
        return out;
    }

    // Greedy with one point to come back to: linear but for the last %.
    [[nodiscard]] bool matches(std::string_view name) const {
        const std::u32string n = code_points(name);
        std::size_t t = 0, i = 0;
        std::size_t run_token = tokens_.size(), run_at = 0;
        while (i < n.size()) {
            if (t < tokens_.size() && tokens_[t].kind == Token::Kind::any_run) {
                run_token = t++;
                run_at = i;
            } else if (t < tokens_.size() && tokens_[t].takes(n[i])) {
                ++t;
                ++i;
            } else if (run_token < tokens_.size()) {
                t = run_token + 1;
                i = ++run_at;
            } else {
                return false;
            }
        }
        while (t < tokens_.size() && tokens_[t].kind == Token::Kind::any_run) ++t;
        return t == tokens_.size();
    }
    // It names one thing only: "a[_]b".
    [[nodiscard]] bool literal() const { return literal_; }

private:
    struct Range {
        char32_t low, high;
    };
    struct Token {
        enum class Kind : std::uint8_t { set, any_one, any_run } kind;
        std::vector<Range> ranges;
        [[nodiscard]] bool takes(char32_t c) const {
            if (kind == Kind::any_one) return true;
            return std::ranges::any_of(ranges, [&](const Range& r) { return r.low <= c && c <= r.high; });
        }
    };
    std::vector<Token> tokens_;
    bool literal_ = true;
};

// How a rule spells a schema or table.
class NameRule {
public:
    static std::optional<NameRule> compile(const std::string& text, bool exact) {
        auto pattern = Pattern::compile(text);
        if (!pattern) return std::nullopt;
        return NameRule(text, std::move(*pattern), exact);
    }
    [[nodiscard]] bool matches(const std::string& name) const {
        return text_ == name ||
               (exact_ ? pattern_.literal() && pattern_.matches(name) : pattern_.matches(name));
    }
    // the rule means this very name, not a pattern that happens to cover it
    [[nodiscard]] bool names(const std::string& name) const {
        return text_ == name || (pattern_.literal() && pattern_.matches(name));
    }

private:
    NameRule(std::string text, Pattern pattern, bool exact)
        : text_(std::move(text)), pattern_(std::move(pattern)), exact_(exact) {}
    std::string text_;
    Pattern pattern_;
    bool exact_;  // explicit rules: % and _ are plain characters
};

enum class Action : std::uint8_t { include, exclude, explicit_one };
enum class TableType : std::uint8_t { table, view, all };

struct SelectionRule {
    Action action;
    NameRule schema, table;
    TableType type;
    std::int64_t load_order;

    [[nodiscard]] bool covers(const TableName& name, bool is_view) const {
        if (type == TableType::table && is_view) return false;
        if (type == TableType::view && !is_view) return false;
        return schema.matches(name.schema) && table.matches(name.table);
    }
};

bool is_system_schema(const std::string& schema) {
    return schema == "information_schema" || schema == "pg_catalog" || schema == "pg_toast" ||
           schema.starts_with("pg_temp_") || schema.starts_with("pg_toast_temp_") || schema == "godwit";
}
bool is_control_table(const std::string& table) { return table.starts_with("awsdms_"); }

class Rules final : public Selection {
public:
    explicit Rules(std::vector<SelectionRule> rules) : rules_(std::move(rules)) {}

    [[nodiscard]] bool selects(const TableName& name, bool is_view) const override {
        bool selected = false;
        for (const SelectionRule& rule : rules_) {
            if (!rule.covers(name, is_view)) continue;
            if (rule.action == Action::exclude) return false;
            if (is_system_schema(name.schema) && !rule.schema.names(name.schema)) continue;
            if (is_control_table(name.table) && !rule.table.names(name.table)) continue;
            selected = true;
        }
        return selected;
    }

    [[nodiscard]] std::int64_t load_order(const TableName& name) const override {
        std::int64_t highest = 0;
        for (const SelectionRule& rule : rules_)
            if (rule.action != Action::exclude && (rule.covers(name, false) || rule.covers(name, true)))
                highest = std::max(highest, rule.load_order);
        return highest;
    }

private:
    const std::vector<SelectionRule> rules_;
};

std::unexpected<Error> refuse(std::string text) { return fail(ErrorCode::invalid_argument, std::move(text)); }
std::unexpected<Error> bad_document() { return refuse("Invalid Table Mappings document"); }
std::unexpected<Error> bad_rule(const std::string& id, std::string_view reason) {
    return refuse(
        fmt::format("Error in mapping rules. Rule with ruleId = {} failed validation. {}", id, reason));
}

// null is absent, everywhere
const Json* member(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it == object.end() || it->is_null() ? nullptr : &*it;
}
std::optional<std::string> text_member(const Json& object, const char* key) {
    const Json* value = member(object, key);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return value->get<std::string>();
}
std::optional<std::int64_t> to_integer(const Json& value) {
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (!value.is_string()) return std::nullopt;
    const auto& text = value.get_ref<const std::string&>();
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

std::string id_text(const Json& rule) {
    const Json* id = member(rule, "rule-id");
    if (id == nullptr) return "";
    return id->is_string() ? id->get<std::string>() : id->dump();
}

// As written; leading zeros are common in real documents.
bool is_numeric(const Json& id) {
    if (id.is_number_unsigned()) return true;
    if (!id.is_string()) return false;
    const auto& text = id.get_ref<const std::string&>();
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Result<> check_filters(const std::string& id, const Json& filters) {
    constexpr std::string_view kOperators[] = {"lte",     "ste",        "gte",  "eq",     "noteq",
                                               "between", "notbetween", "null", "notnull"};
    if (!filters.is_array()) return bad_rule(id, "filters must be an array");
    for (const Json& filter : filters) {
        if (!filter.is_object() || text_member(filter, "filter-type").value_or("source") != "source")
            return bad_rule(id, "unknown filter-type");
        if (!text_member(filter, "column-name")) return bad_rule(id, "a filter needs a column-name");
        const Json* conditions = member(filter, "filter-conditions");
        if (conditions == nullptr || !conditions->is_array())
            return bad_rule(id, "a filter needs filter-conditions");
        for (const Json& condition : *conditions) {
            const std::string op =
                condition.is_object() ? text_member(condition, "filter-operator").value_or("") : "";
            if (std::ranges::find(kOperators, op) == std::end(kOperators))
                return bad_rule(id, fmt::format("unknown filter-operator '{}'", op));
            const bool between = op == "between" || op == "notbetween";
            const bool none = op == "null" || op == "notnull";
            const bool value = member(condition, "value") != nullptr;
            const bool range =
                member(condition, "start-value") != nullptr && member(condition, "end-value") != nullptr;
            if (between ? !range : !none && !value)
                return bad_rule(id, fmt::format("filter-operator '{}' needs {}", op,
                                                between ? "start-value and end-value" : "value"));
        }
    }
    return {};
}

Result<SelectionRule> selection_rule(const std::string& id, const Json& rule, const Json& locator) {
    const std::string action = text_member(rule, "rule-action").value_or("");
    Action what = Action::include;
    if (action == "exclude") {
        what = Action::exclude;
    } else if (action == "explicit") {
        what = Action::explicit_one;
    } else if (action != "include") {
        return bad_rule(id,
                        fmt::format("unknown rule-action '{}': use include, exclude or explicit", action));
    }
    const auto schema = text_member(locator, "schema-name");
    const auto table = text_member(locator, "table-name");
    if (!schema || !table) return bad_rule(id, "object-locator needs schema-name and table-name");
    const bool exact = what == Action::explicit_one;
    if (exact && (schema->find('%') != std::string::npos || table->find('%') != std::string::npos))
        return bad_rule(id, "an explicit rule needs an exact schema-name and table-name, without wildcards");

    const std::string type = text_member(locator, "table-type").value_or("table");
    if (type != "table" && type != "view" && type != "all")
        return bad_rule(id, fmt::format("unknown table-type '{}': use table, view or all", type));

    std::int64_t order = 0;
    if (const Json* value = member(rule, "load-order")) {
        const auto n = to_integer(*value);
        if (!n || *n < 1 || *n > 2147483647) return bad_rule(id, "load-order must be from 1 to 2147483647");
        order = *n;
    }
    if (const Json* filters = member(rule, "filters"); filters != nullptr && what != Action::exclude) {
        GW_CHECK(check_filters(id, *filters));
        if (!filters->empty()) return bad_rule(id, "filters are not available in godwit yet");
    }

    auto schema_rule = NameRule::compile(*schema, exact);
    auto table_rule = NameRule::compile(*table, exact);
    if (!schema_rule || !table_rule) return bad_rule(id, "a set in brackets cannot start with ^ or !");
    return SelectionRule{what, std::move(*schema_rule), std::move(*table_rule),
                         type == "all"    ? TableType::all
                         : type == "view" ? TableType::view
                                          : TableType::table,
                         order};
}

bool has_wildcard(const Json& locator) {
    for (const char* key : {"schema-name", "table-name"})
        if (text_member(locator, key).value_or("").find('%') != std::string::npos) return true;
    return false;
}

// Rules of a kind that godwit does not act on yet: their known faults first, then the refusal.
std::unexpected<Error> inactive_rule(const std::string& id, const std::string& type, const Json& locator) {
    if (type == "table-settings" && has_wildcard(locator))
        return bad_rule(id, "Exact schema and table name required when using table settings rule.");
    if (type == "object-mapping" && has_wildcard(locator))
        return refuse("Exact schema and table required when using object mapping rule with '3.5' engine.");
    return bad_rule(id, fmt::format("{} rules are not available in godwit yet", type));
}

Result<Json> parse_document(const std::string& text) {
    if (text.size() > kDocumentBytesMax)
        return refuse("Error in mapping rules. The document is larger than 2 MB.");
    Json document = Json::parse(text, nullptr, false);
    if (!document.is_object()) return bad_document();
    const Json* rules = member(document, "rules");
    if (rules == nullptr || !rules->is_array()) return bad_document();
    return document;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name) {
    const auto compiled = Pattern::compile(pattern);
    return compiled && compiled->matches(name);
}

Result<std::unique_ptr<Selection>> compile_selection(const std::string& table_mappings_json) {
    constexpr std::string_view kTypes[] = {"selection",      "transformation",  "table-settings",
                                           "object-mapping", "post-processing", "validation"};
    const Json document = GW_TRY(parse_document(table_mappings_json));
    const Json& rules = document.at("rules");
    for (const Json& rule : rules)
        if (!rule.is_object()) return bad_document();
    if (std::ranges::none_of(rules,
                             [](const Json& r) { return text_member(r, "rule-type") == "selection"; }) &&
        std::ranges::all_of(rules, [&](const Json& r) {
            return std::ranges::find(kTypes, text_member(r, "rule-type").value_or("")) != std::end(kTypes);
        }))
        return refuse("Error in mapping rules. At least one selection rule is required.");

    std::vector<SelectionRule> selection;
    for (const Json& rule : rules) {
        const std::string id = id_text(rule);
        const std::string type = text_member(rule, "rule-type").value_or("");
        if (type.empty()) return bad_rule(id, "rule-type is missing");
        if (std::ranges::find(kTypes, type) == std::end(kTypes))
            return bad_rule(id, fmt::format("unknown rule-type '{}'", type));
        for (const char* key : {"rule-id", "rule-name", "object-locator"})
            if (member(rule, key) == nullptr) return bad_rule(id, fmt::format("{} is missing", key));
        const Json& locator = *member(rule, "object-locator");
        if (!locator.is_object()) return bad_rule(id, "object-locator must be an object");
        if (!is_numeric(*member(rule, "rule-id"))) return bad_rule(id, "rule-id must be numeric");
        if (type != "selection") return inactive_rule(id, type, locator);
        selection.push_back(GW_TRY(selection_rule(id, rule, locator)));
    }
    return std::make_unique<Rules>(std::move(selection));
}

std::vector<std::string> mapping_warnings(const std::string& table_mappings_json) {
    constexpr std::string_view kKeys[] = {
        "rule-type", "rule-id",   "rule-name",   "rule-action", "object-locator", "load-order", "filters",
        "value",     "old-value", "rule-target", "tag-set",     "data-type",      "expression"};
    std::vector<std::string> out;
    const auto document = parse_document(table_mappings_json);
    if (!document) return out;
    std::set<std::string> ids, names;
    for (const Json& rule : document->at("rules")) {
        if (!rule.is_object()) continue;
        std::string id = id_text(rule);
        id.erase(0, std::min(id.find_first_not_of('0'), id.size()));  // ids compare as numbers
        if (!ids.insert(id).second)
            out.push_back(fmt::format("table mappings: rule-id {} is used twice", id_text(rule)));
        const std::string name = text_member(rule, "rule-name").value_or("");
        if (!names.insert(name).second)
            out.push_back(fmt::format("table mappings: rule-name '{}' is used twice", name));
        for (const auto& [key, value] : rule.items())
            if (!value.is_null() && std::ranges::find(kKeys, key) == std::end(kKeys))
                out.push_back(
                    fmt::format("table mappings: key '{}' of rule {} is ignored", key, id_text(rule)));
    }
    return out;
}

}  // namespace godwit::mapping
