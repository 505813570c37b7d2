#include "engine/loss_spikes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace moesaic {
namespace {

/// A falling loss with normal noise, as of training.
double noisy_loss(std::int64_t step) {
  const RandomKey key(7, RandomStream::kNoise);
  return 2 + 3 * std::exp(-static_cast<double>(step) / 200) +
         0.05 * key.normal(static_cast<std::uint64_t>(step));
}

TEST(LossSpikes, FindsASpikeAndNothingInOrdinaryNoise) {
  LossSpikes spikes;
  for (std::int64_t step = 0; step < 20000; ++step) {
    const bool planted = step % 5000 == 4000;
    const auto found = spikes.add(noisy_loss(step) + (planted ? 1 : 0));
    ASSERT_EQ(found.has_value(), planted) << step;
    if (!planted) continue;
    EXPECT_NEAR(found->median, 2, 0.05);
    EXPECT_LT(found->most, 2.8);
    EXPECT_TRUE(found->first);
  }
  EXPECT_EQ(spikes.take(), 4);
  EXPECT_EQ(spikes.take(), 0);
}

TEST(LossSpikes, AFallIsNoneAndAHigherLevelIsUsualAfterAWhile) {
  LossSpikes spikes;
  for (int i = 0; i < 100; ++i) spikes.add(5);
  EXPECT_FALSE(spikes.add(0.1));
  ASSERT_TRUE(spikes.add(6));  // also where losses did not differ at all
  const auto next = spikes.add(6);
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->first);
  for (int i = 0; i < 100; ++i) spikes.add(6);
  EXPECT_FALSE(spikes.add(6));
  EXPECT_LT(spikes.take(), 2 + static_cast<std::int64_t>(LossSpikes::kWindow));
}

TEST(LossSpikes, SaysNothingBeforeItHasSeenEnoughOrAfterItForgot) {
  LossSpikes spikes;
  for (std::size_t i = 0; i + 1 < LossSpikes::kLeast; ++i) spikes.add(1);
  EXPECT_FALSE(spikes.add(std::numeric_limits<double>::quiet_NaN()));  // passed over
  EXPECT_FALSE(spikes.add(50));
  EXPECT_TRUE(spikes.add(50));  // the first of them is one of kLeast
  spikes.forget();
  EXPECT_FALSE(spikes.add(1000));
}

TEST(LossSpikes, GoesOnFromItsNote) {
  LossSpikes spikes, other;
  EXPECT_TRUE(spikes.note().is_null());
  for (std::int64_t step = 0; step < 90; ++step) spikes.add(noisy_loss(step));
  other.restore(Json::parse(spikes.note().dump()));
  const auto one = spikes.add(9), two = other.add(9);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->median, two->median);
  EXPECT_EQ(one->most, two->most);
  EXPECT_EQ(spikes.note(), other.note());
  LossSpikes third;  // what no row has had yet is not lost
  third.restore(spikes.note());
  EXPECT_EQ(third.take(), 1);
  other.restore(nullptr);
  EXPECT_TRUE(other.note().is_null());
}

TEST(LossSpikes, RefusesADamagedNote) {
  LossSpikes spikes;
  for (const Json& note : {Json("losses"), Json::array({1.0, 2.0}), Json{{"recent", {1.0, 2.0}}},
                           Json{{"recent", {"one", "two"}}, {"since_row", 0}},
                           Json{{"recent", std::vector<double>(1000, 1.0)}, {"since_row", 0}}}) {
    try {
      spikes.restore(note);
      ADD_FAILURE() << note;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
      EXPECT_NE(std::string(error.what()).find("loss_spikes"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace moesaic
