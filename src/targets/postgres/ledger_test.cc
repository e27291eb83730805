// Goal: names and phases that the ledger's rows live by.

#include "targets/postgres/ledger.h"

#include <gtest/gtest.h>

namespace godwit::postgres {
namespace {

TEST(LedgerNames, PhasesComeBack) {
    for (const auto phase : {TablePhase::waiting, TablePhase::loading, TablePhase::loaded, TablePhase::joined,
                             TablePhase::suspended})
        EXPECT_EQ(phase_of(phase_name(phase)), phase);
    EXPECT_EQ(phase_name(TablePhase::joined), "joined");
    EXPECT_EQ(phase_of("of a later version"), TablePhase::waiting);
}

// A session is found by its name: it must fit application_name (63 bytes) with any epoch, and differ between
// tasks.
TEST(LedgerNames, SessionNamesFit) {
    EXPECT_EQ(session_prefix("abc"), "godwit/abc/");
    const std::string a(80, 'x');
    const std::string b = a + "y";
    EXPECT_NE(session_prefix(a), session_prefix(b));
    EXPECT_LE((session_prefix(a) + "18446744073709551615").size(), 63U);
    EXPECT_LE((session_prefix(std::string(35, 'x')) + "18446744073709551615").size(), 63U);
}

// Text of the user's goes into the slice's first statement as literals.
TEST(LedgerSql, SliceClaimQuotes) {
    const auto sql = slice_claim_sql("t", {"it's", R"(a\b)"}, 1, 2, 3);
    EXPECT_NE(sql.find("'it''s'"), std::string::npos);
    EXPECT_NE(sql.find(R"(E'a\\b')"), std::string::npos);
}

TEST(LedgerErrors, RefusalIsNotRetried) {
    Error e{ErrorCode::invalid_argument, Retry::call, "division by zero", {}, "22012"};
    const Error refused = explain_refusal(e, "slice");
    EXPECT_EQ(refused.code, ErrorCode::failed_precondition);
    EXPECT_EQ(refused.retry, Retry::never);
    e.sqlstate = "40001";
    EXPECT_EQ(explain_refusal(e, "slice").message, "division by zero");
}

}  // namespace
}  // namespace godwit::postgres
