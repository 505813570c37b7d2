// A file of importances is written on one layout and read on every other.
#include "store/importance_file.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "support/mpi_test.h"
#include "support/shared_folder.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

const ImportanceNotes kNotes{.labels = "sampled", .examples = 7, .model_digest = "abc"};

/// Of each parameter its own values squared and its values: the same on any layout.
Importance importance_of(const ParameterSet& parameters) {
  Importance importance;
  for (const Parameter& p : parameters)
    importance.push_back({.fisher = p.tensor.square(), .anchor = p.tensor});
  return importance;
}

void expect_equal(const ParameterSet& parameters, const Importance& read) {
  const Importance expected = importance_of(parameters);
  for (const Parameter& p : parameters) {
    const auto i = static_cast<std::size_t>(p.index);
    EXPECT_TRUE(at::equal(read[i].fisher, expected[i].fisher)) << p.name;
    EXPECT_TRUE(at::equal(read[i].anchor, expected[i].anchor)) << p.name;
  }
}

TEST(ImportanceFile, IsWrittenAndReadOnAnyLayout) {
  const arch::Options arch = test::tiny_olmoe();
  for (const int writing : test::expert_sizes()) {
    const RankContext writer = test::context(writing);
    const test::SharedFolder folder(writer.world);
    const std::string path = folder.path() + "/importance.h5";
    const ParameterSet written = test::parameters_of(arch, writer);
    write_importances(writer, path, written, importance_of(written), kNotes);
    EXPECT_EQ(folder.names(), std::vector<std::string>{"importance.h5"});
    for (const int reading : test::expert_sizes()) {
      const RankContext reader = test::context(reading);
      const ParameterSet parameters = test::parameters_of(arch, reader);
      expect_equal(parameters, read_importances(reader, path, parameters, "abc"));
    }
    const RankContext single = RankContext::single();
    const ParameterSet whole = test::parameters_of(arch, single);
    expect_equal(whole, read_importances(single, path, whole, "abc"));
  }
}

// One rank's rows alone are wrong: all ranks are told.
TEST(ImportanceFile, IsRefusedByAllRanks) {
  const RankContext context = test::context(test::expert_sizes().back());
  const test::SharedFolder folder(context.world);
  const std::string path = folder.path() + "/importance.h5";
  const ParameterSet parameters = test::parameters_of(test::tiny_olmoe(), context);
  Importance negative = importance_of(parameters);
  const Parameter& experts = *parameters.find("model.layers.0.mlp.experts.up_proj.weight");
  if (experts.offset == 0) negative[static_cast<std::size_t>(experts.index)].fisher[0][0][0] = -1.0;
  write_importances(context, path, parameters, negative, kNotes);
  EXPECT_THROW(read_importances(context, path, parameters, "abc"), Error);
  EXPECT_THROW(read_importances(context, path, parameters, "another"), Error);
  EXPECT_THROW(read_importances(context, folder.path() + "/none.h5", parameters), Error);
}

}  // namespace
}  // namespace moesaic
