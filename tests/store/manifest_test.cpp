#include "store/manifest.h"

#include <gtest/gtest.h>

#include "core/digest.h"

namespace moesaic {
namespace {

const std::string kHex(32, 'a');

Json sample() {
  return {{"step", 100},
          {"files", {{"model.h5", {{"size", 10}, {"xxh3_128", kHex}}}}},
          {"datasets", {{"model.norm.weight", {kHex}}}}};
}

std::string error_of(const std::string& text) {
  try {
    unseal_manifest(text, "m");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    return error.what();
  }
  return "";
}

TEST(Manifest, TakesNamesThatAreNoUtf8) {
  Json content = sample();
  content["training"] = {{"file", "a\xff"}};
  const Json read = unseal_manifest(seal_manifest(content), "m");
  EXPECT_EQ(read["training"]["file"], "a\xef\xbf\xbd");
}

TEST(Manifest, EndsWithTheDigestOfAllBytesBeforeItsLastLine) {
  const std::string text = seal_manifest(sample());
  const std::size_t line = text.rfind('\n', text.size() - 2) + 1;
  EXPECT_EQ(text.substr(line), "\"digest\": \"" + digest_of(text.substr(0, line)) + "\"}\n");
  EXPECT_EQ(unseal_manifest(text, "m")["files"], sample()["files"]);
  EXPECT_EQ(dataset_digests(unseal_manifest(text, "m")).at("model.norm.weight").at(0), kHex);
}

TEST(Manifest, EveryFlippedBitAndEveryTruncationIsFound) {
  const std::string text = seal_manifest(sample());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      ASSERT_NE(error_of(damaged), "") << "byte " << i << " bit " << bit;
    }
    ASSERT_NE(error_of(text.substr(0, i)), "") << "cut to " << i;
  }
  EXPECT_NE(error_of(text + "\n"), "");
}

TEST(Manifest, WithARightDigestButAWrongStructureIsRefused) {
  const auto error_after = [](const std::string& key, const Json& value) {
    Json changed = sample();
    changed[key] = value;
    return error_of(seal_manifest(changed));
  };
  EXPECT_EQ(error_after("step", 100), "");
  EXPECT_NE(error_after("step", -1).find("'step'"), std::string::npos);
  EXPECT_NE(error_after("files", 3).find("'files'"), std::string::npos);
  EXPECT_NE(error_after("files", {{"a", {{"size", 1}}}}).find("size and digest"),
            std::string::npos);
  EXPECT_NE(error_after("datasets", {{"w", {"xyz"}}}).find("'w'"), std::string::npos);
  for (const char* name : {"../a", "/etc/passwd", "hub/../../a", "."}) {
    EXPECT_NE(
        error_after("files", {{name, {{"size", 1}, {"xxh3_128", kHex}}}}).find("leaves the folder"),
        std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace moesaic
