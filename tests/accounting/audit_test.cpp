#include "accounting/audit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "core/error.h"

namespace moesaic::accounting {
namespace {

TEST(Audit, LowerBounds) {
  EXPECT_EQ(audit_epsilon({1000, 1000, 500}, 0), 0);
  EXPECT_NEAR(audit_epsilon({1000, 1000, 600}, 0), 0.297468, 1e-6);
  EXPECT_NEAR(audit_epsilon({1000, 1000, 600}, 1e-5), 0.297227, 1e-6);
  EXPECT_NEAR(audit_epsilon({1000, 100, 90}, 0), 1.630823, 1e-6);
  EXPECT_NEAR(audit_epsilon({1000, 100, 90}, 1e-5), 1.626143, 1e-6);
  EXPECT_NEAR(audit_epsilon({1000, 100, 100}, 1e-5), 3.465376, 1e-6);
  EXPECT_NEAR(audit_epsilon({5000, 500, 400}, 1e-5), 1.195218, 1e-6);
  EXPECT_NEAR(audit_epsilon({128, 128, 128}, 1e-5), 3.739621, 1e-6);
}

TEST(Audit, NoGuessesRefuteNothing) {
  EXPECT_EQ(audit_epsilon({0, 0, 0}, 0), 0);
  EXPECT_EQ(audit_epsilon({10, 10, 0}, 0), 0);
  EXPECT_THROW(audit_epsilon({10, 5, 6}, 0), Error);
  EXPECT_THROW(audit_epsilon({4, 5, 1}, 0), Error);
}

TEST(Audit, MembershipIsTheShareOfPairs) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> score(0, 9);  // many are equal
  std::vector<double> members(37);
  std::vector<double> outsiders(53);
  for (double& m : members) m = score(random) + 1;
  for (double& o : outsiders) o = score(random);
  double pairs = 0;
  for (const double m : members)
    for (const double o : outsiders) pairs += m > o ? 1 : m == o ? 0.5 : 0;
  EXPECT_DOUBLE_EQ(membership_auc(members, outsiders), pairs / (37 * 53));
  EXPECT_TRUE(std::isnan(membership_auc({}, outsiders)));
  members[0] = NAN;
  EXPECT_TRUE(std::isnan(membership_auc(members, outsiders)));
}

}  // namespace
}  // namespace moesaic::accounting
