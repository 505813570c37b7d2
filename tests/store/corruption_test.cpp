// 200 random single-bit flips and truncations over all files of a checkpoint: each is found when it
// is opened.
#include <gtest/gtest.h>

#include <fstream>

#include "core/fs.h"
#include "support/sample_checkpoint.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string mutated(std::string bytes, std::uint64_t random) {
  const std::size_t place = (random >> 8U) % bytes.size();
  if (random % 4 == 0) return bytes.substr(0, place);
  bytes[place] = static_cast<char>(bytes[place] ^ (1 << ((random >> 2U) % 8)));
  return bytes;
}

TEST(Corruption, OfAnyFileIsFoundOnOpening) {
  const test::SampleFolder folder;
  const RankContext context = RankContext::single();
  CheckpointStore({.folder = folder.path()}).save(context, 100, test::sample_content(context));
  const std::string checkpoint = folder.file("step-00000100");
  std::vector<std::string> files;
  for (const auto& item : fs::directory_iterator(checkpoint)) files.push_back(item.path().string());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 4U);  // config.json, manifest.json, model.h5, state.h5
  ASSERT_NO_THROW(CheckpointStore::open(context, checkpoint));
  const RandomKey key(20250101, RandomStream::kShuffle, 0, "corruption");
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::string& file = files[i % files.size()];
    const std::string whole = read_file(file);
    write(file, mutated(whole, key.bits(i)));
    EXPECT_THROW(CheckpointStore::open(context, checkpoint), Error)
        << "mutation " << i << " of " << file;
    write(file, whole);
  }
  for (const std::string& file : files) {
    fs::rename(file, file + ".away");
    EXPECT_THROW(CheckpointStore::open(context, checkpoint), Error) << "without " << file;
    fs::rename(file + ".away", file);
  }
  ASSERT_NO_THROW(CheckpointStore::open(context, checkpoint));
}

// A file that changes between opening and loading: the digests of the blocks are checked again.
TEST(Corruption, AfterOpeningIsFoundOnLoading) {
  const test::SampleFolder folder;
  const RankContext context = RankContext::single();
  const CheckpointStore store({.folder = folder.path()});
  store.save(context, 100, test::sample_content(context));
  const CheckpointInfo info = *store.newest(context);
  CheckpointContent other = test::sample_content(context);
  other.model[2].tensor[7][1][1] = 5;
  store.save(context, 200, other);
  fs::copy_file(folder.file("step-00000200/model.h5"), folder.file("step-00000100/model.h5"),
                fs::copy_options::overwrite_existing);
  CheckpointContent content = test::sample_content(context);
  try {
    CheckpointStore::load(context, info, content);
    FAIL();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("block 7 of dataset 'model.layers.0.mlp.experts.up_proj.weight'"),
              std::string::npos)
        << message;
  }
}

}  // namespace
}  // namespace moesaic
