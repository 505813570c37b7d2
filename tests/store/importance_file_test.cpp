// What is no file of importances, or not of this model, is refused with its reason.
#include "store/importance_file.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "core/fs.h"
#include "store/checkpoint.h"
#include "store/hdf5.h"
#include "support/parameters.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::expect_error;

struct ImportanceFile : ::testing::Test {
  RankContext context = RankContext::single();
  testing::TemporaryFolder folder;
  std::string path = folder.path() + "/importance.h5";
  ParameterSet parameters{{test::parameter_of("a.weight", at::randn({5, 3}, at::kFloat)),
                           test::expert_of("b.weight", at::randn({4, 2, 3}, at::kFloat), 0, 4)}};
  ImportanceNotes notes{.labels = "exact", .examples = 12, .model_digest = "of the model"};

  Importance whole() const {
    Importance importance;
    for (const Parameter& p : parameters)
      importance.push_back({.fisher = p.tensor.square(), .anchor = p.tensor.clone()});
    return importance;
  }
  void write(const Importance& importance) const {
    write_importances(context, path, parameters, importance, notes);
  }
  Importance read() const { return read_importances(context, path, parameters, "of the model"); }
};

TEST_F(ImportanceFile, HasNamesAndAttributesOfItsOwn) {
  write(whole());
  const Hdf5File file = Hdf5File::open(path);
  EXPECT_EQ(file.dataset_names(), (std::vector<std::string>{"anchor/a.weight", "anchor/b.weight",
                                                            "fisher/a.weight", "fisher/b.weight"}));
  EXPECT_EQ(file.attribute("labels"), "exact");
  EXPECT_EQ(file.number_attribute("examples"), 12);
  EXPECT_EQ(file.attribute("model_digest"), "of the model");
  EXPECT_EQ(file.attribute("examples"), "");
  EXPECT_EQ(file.number_attribute("labels"), std::nullopt);
}

TEST_F(ImportanceFile, GivesBackWhatItGotAlsoInAnotherType) {
  Importance part = whole();
  part[1] = {};  // nothing is known of it
  write(part);
  const Importance read_back = read();
  EXPECT_TRUE(at::equal(read_back[0].fisher, part[0].fisher));
  EXPECT_TRUE(at::equal(read_back[0].anchor, part[0].anchor));
  EXPECT_FALSE(read_back[1].fisher.defined());
  const ParameterSet wide{{test::parameter_of("a.weight", at::randn({5, 3}, at::kDouble))}};
  const Importance wider = read_importances(context, path, wide);
  EXPECT_TRUE(at::equal(wider[0].fisher, part[0].fisher.to(at::kDouble)));
}

TEST_F(ImportanceFile, GivesWeightsThatAreKeptAsCodesWhatTheyWere) {
  write(whole());
  const Parameter& b = parameters[1];
  std::vector<Parameter> rounded = {parameters[0],
                                    test::quantised_of(b.name, arch::Storage::kInt8, b.tensor)};
  const ParameterSet kept(std::move(rounded));
  const Importance read_back = read_importances(context, path, kept, "of the model");
  EXPECT_TRUE(at::equal(read_back[1].anchor, b.tensor));
  EXPECT_TRUE(at::equal(read_back[1].fisher, b.tensor.square()));
}

TEST_F(ImportanceFile, ReplacesImportancesAndNothingElse) {
  folder.file("importance.h5", "name: old\n");
  expect_error(ErrorKind::kCheckpoint, "it is not replaced", [&] { write(whole()); });
  EXPECT_EQ(read_file(path), "name: old\n");
  folder.file("importance.h5", "");
  write(whole());
  write(whole());
  EXPECT_EQ(folder.names("."), std::vector<std::string>{"importance.h5"});
  path = folder.path();
  expect_error(ErrorKind::kCheckpoint, "is a folder", [&] { write(whole()); });
}

TEST_F(ImportanceFile, OfAnotherModelIsRefused) {
  write(whole());
  expect_error(ErrorKind::kRecipe, "are of another model (digest of the model)",
               [&] { read_importances(context, path, parameters, "other"); });
  const ParameterSet taller{{test::parameter_of("a.weight", at::randn({6, 3}, at::kFloat)),
                             test::expert_of("b.weight", at::randn({4, 2, 3}), 0, 4)}};
  expect_error(ErrorKind::kCheckpoint, "fisher/a.weight is float32 [5, 3] (here [6, 3])",
               [&] { read_importances(context, path, taller); });
  const ParameterSet fewer{{test::parameter_of("a.weight", at::randn({5, 3}, at::kFloat))}};
  expect_error(ErrorKind::kCheckpoint, "do not fit this model",
               [&] { read_importances(context, path, fewer); });
}

TEST_F(ImportanceFile, WithoutMeaningIsRefused) {
  Importance wrong = whole();
  wrong[1].fisher[2][0][1] = std::numeric_limits<float>::quiet_NaN();
  write(wrong);
  expect_error(ErrorKind::kCheckpoint, "NaN or infinity among the importances", [&] { read(); });
  wrong = whole();
  wrong[0].anchor[0][0] = std::numeric_limits<float>::infinity();
  write(wrong);
  expect_error(ErrorKind::kCheckpoint, "anchors of a.weight", [&] { read(); });
  wrong = whole();
  wrong[0].fisher[4][2] = -1e-20;
  write(wrong);
  expect_error(ErrorKind::kCheckpoint, "an importance of a.weight is negative", [&] { read(); });
  wrong = whole();
  for (const ParameterImportance& p : wrong) at::Tensor(p.fisher).zero_();
  write(wrong);
  expect_error(ErrorKind::kCheckpoint, "all importances are zero", [&] { read(); });
}

// Each is an error, and no crash.
TEST_F(ImportanceFile, ThatIsDamagedIsRefused) {
  expect_error(ErrorKind::kCheckpoint, "cannot open", [&] { read(); });
  folder.file("importance.h5", "no HDF5");
  expect_error(ErrorKind::kCheckpoint, "cannot open", [&] { read(); });
  std::filesystem::remove(path);
  write(whole());
  const std::string bytes = read_file(path);
  for (const std::size_t length : {bytes.size() / 3, bytes.size() / 2}) {
    folder.file("importance.h5", bytes.substr(0, length));
    EXPECT_THROW(read(), Error) << length;
  }
  // A value: HDF5 has a checksum of each chunk.
  const at::Tensor first = whole()[0].fisher.contiguous();
  const std::string value(static_cast<const char*>(first.const_data_ptr()), 12);
  const std::size_t place = bytes.find(value);
  ASSERT_NE(place, std::string::npos);
  std::string changed = bytes;
  changed[place] = static_cast<char>(changed[place] ^ 1);
  folder.file("importance.h5", changed);
  EXPECT_THROW(read(), Error);
}

// HDF5's table of chunks has no checksum: where a chunk lies, and which rows it has.
TEST_F(ImportanceFile, WhoseTableOfChunksIsDamagedIsRefused) {
  write(whole());
  const std::string bytes = read_file(path);
  constexpr std::size_t kHeader = 24;      // of a table
  constexpr std::size_t kKey = 8 + 4 * 8;  // bytes and filters, then three dimensions and one more
  constexpr std::size_t kEntry = kKey + 8;
  const std::string begin("TREE\1\0\4\0", 8);  // of chunks; a leaf; the four of b.weight
  const std::size_t table = bytes.find(begin);
  ASSERT_NE(table, std::string::npos);
  const std::size_t second = table + kHeader + kEntry;
  std::string changed = bytes;
  changed.replace(second + kKey, 8, bytes, second - 8, 8);  // lies where the first one does
  folder.file("importance.h5", changed);
  expect_error(ErrorKind::kCheckpoint, "values of two places of the model", [&] { read(); });
  changed = bytes;
  changed[second + 8] = static_cast<char>(changed[second + 8] ^ 32);  // its first row
  folder.file("importance.h5", changed);
  expect_error(ErrorKind::kCheckpoint, "chunk", [&] { read(); });
  changed = bytes;
  changed[table + 6] = static_cast<char>(changed[table + 6] ^ 8);  // how many there are
  folder.file("importance.h5", changed);
  expect_error(ErrorKind::kCheckpoint, "chunk", [&] { read(); });
}

TEST_F(ImportanceFile, MayBeTheStateOfARun) {
  const Importance importance = whole();
  CheckpointContent content;
  content.model = state_of(parameters);
  content.state = {entry_like(parameters[0], "exp_avg", parameters[0].tensor)};
  for (const Parameter& p : parameters) {
    const auto i = static_cast<std::size_t>(p.index);
    content.state.push_back(entry_like(p, "fisher", importance[i].fisher));
    content.state.push_back(entry_like(p, "anchor", importance[i].anchor));
  }
  content.training = {{"step", 3}};
  CheckpointStore({.folder = folder.path()}).save(context, 3, content);
  const Importance read_back =
      read_state_importances(context, folder.path() + "/step-00000003", parameters);
  for (std::size_t i = 0; i < importance.size(); ++i) {
    EXPECT_TRUE(at::equal(read_back[i].fisher, importance[i].fisher));
    EXPECT_TRUE(at::equal(read_back[i].anchor, importance[i].anchor));
  }
}

}  // namespace
}  // namespace moesaic
