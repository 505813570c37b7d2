#include "engine/source_digests.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

Json source(const char* path, const char* digest, const Json& files = Json::object()) {
  return {{"path", path}, {"digest", digest}, {"files", files}};
}

Json list(const std::vector<Json>& sources) { return sources; }

TEST(SourceDigests, AFileIsTheSameByWhatItHolds) {
  const Json train =
      list({source("a", "1", {{"x.txt", "11"}}), source("b", "2", {{"y.txt", "12"}})});
  EXPECT_EQ(shared_source(list({source("c", "3", {{"x.txt", "13"}})}), train), "");
  EXPECT_EQ(shared_source(list({source("c", "3"), source("d", "4", {{"z.txt", "12"}})}), train),
            "d");
  EXPECT_EQ(shared_source(list({source("e", "2")}), train), "e");
  EXPECT_EQ(shared_source(list({}), train), "");
}

TEST(SourceDigests, OfAllSourcesInAnyOrder) {
  const auto digest = [](const std::vector<Json>& train) {
    return digest_of_training({{"train", train}, {"valid", list({source("v", "9")})}});
  };
  const std::string both = digest({source("a", "1"), source("b", "2")});
  EXPECT_EQ(digest({source("q", "2"), source("r", "1")}), both);
  EXPECT_NE(digest({source("a", "1")}), both);
  EXPECT_NE(digest({source("a", "1"), source("b", "2"), source("b", "2")}), both);
}

TEST(SourceDigests, OfOldDataAndOfAllTasks) {
  const Json a = source("a", "1"), b = source("b", "2"), c = source("c", "3");
  const Json plain = {{"train", list({a, b})}, {"valid", list({c})}};
  EXPECT_EQ(digest_of_training({{"train", list({a})}, {"replay", list({b})}}),
            digest_of_training(plain));
  const Json tasks = {{"continual.tasks[0].train", list({a})},
                      {"continual.tasks[0].valid", list({c})},
                      {"continual.tasks[1].train", list({b})},
                      {"continual.tasks[1].replay", list({a})}};
  EXPECT_EQ(digest_of_training(tasks), digest_of_training(plain));
  EXPECT_EQ(training_sources(tasks).size(), 3U);
  EXPECT_EQ(shared_source(list({c}), training_sources(tasks)), "");
  EXPECT_EQ(shared_source(list({c, b}), training_sources(tasks)), "b");
  EXPECT_NE(digest_of_training({{"continual.tasks[0].train", list({a})}}),
            digest_of_training(plain));
}

TEST(SourceDigests, AFileIsThereTwiceByWhateverName) {
  const Json a = source("a", "1", {{"x.txt", "11"}, {"y.txt", "12"}});
  const std::string empty = "99aa06d3014798d86001c324468d497f";  // XXH3-128 of no bytes
  EXPECT_EQ(repeated_source(list({a, source("b", "2", {{"z.txt", "13"}})})), "");
  EXPECT_EQ(repeated_source(list({a, source("b", "2", {{"link.txt", "12"}})})), "b");
  EXPECT_EQ(repeated_source(list({source("*.txt", "3", {{"x.txt", "11"}, {"copy.txt", "11"}})})),
            "*.txt");
  EXPECT_EQ(repeated_source(list({source("a.tokens", "4"), source("b.tokens", "4")})), "b.tokens");
  EXPECT_EQ(repeated_source(list({source("*.txt", "3", {{"x", empty}, {"y", empty}})})), "");
}

TEST(SourceDigests, WhatIsLeftWithoutTrainingSaysNothingOfIt) {
  const Json a = source("a", "1"), b = source("b", "2"), c = source("c", "3");
  EXPECT_EQ(without_training({{"train", list({a})}, {"replay", list({b})}, {"valid", list({c})}}),
            Json({{"valid", list({c})}}));
  EXPECT_EQ(without_training({{"train", list({a})}, {"valid", list({c, a})}}), Json::object());
  EXPECT_EQ(without_training(
                {{"continual.tasks[0].train", list({a})}, {"continual.tasks[1].valid", list({a})}}),
            Json::object());
}

}  // namespace
}  // namespace moesaic
