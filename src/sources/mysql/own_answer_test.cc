#include "sources/mysql/own_answer.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

TEST(OwnAnswer, IsWhatIsNearlyAlwaysSaid) {
    OwnAnswer<int> answer;
    // the first ones are another session's
    EXPECT_FALSE(answer.heard(1));
    EXPECT_FALSE(answer.heard(2));
    int asked = 0;
    while (!answer.heard(7) && asked < 100) ++asked;
    EXPECT_GE(asked + 3, OwnAnswer<int>::kAskedMin);
    EXPECT_LT(asked, 20);
    EXPECT_FALSE(answer.heard(9));
}

TEST(OwnAnswer, CannotBeToldFromAsManyOthers) {
    OwnAnswer<int> answer;
    int asked = 0;
    while (!answer.given_up()) EXPECT_FALSE(answer.heard(asked++ % 3 == 0 ? 1 : 7)) << asked;
    EXPECT_EQ(asked, OwnAnswer<int>::kAskedMax);
}

}  // namespace
}  // namespace godwit::mysql
