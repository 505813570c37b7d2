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
  const std::string both = digest_of_sources(list({source("a", "1"), source("b", "2")}));
  EXPECT_EQ(digest_of_sources(list({source("q", "2"), source("r", "1")})), both);
  EXPECT_NE(digest_of_sources(list({source("a", "1")})), both);
  EXPECT_NE(digest_of_sources(list({source("a", "1"), source("b", "2"), source("b", "2")})), both);
}

}  // namespace
}  // namespace moesaic
