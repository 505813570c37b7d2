#include "federated/shared_file.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/error.h"
#include "federated/compressed_changes.h"
#include "observe/temp_folder.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

at::Tensor numbers(std::initializer_list<double> list) {
  return at::tensor(at::ArrayRef<double>(list), at::kFloat);
}

ParameterSet two_parameters() {
  std::vector<Parameter> parameters;
  parameters.push_back(test::parameter_of("w", numbers({1, 2, 3, 4}).view({2, 2})));
  parameters.push_back(test::parameter_of("b", numbers({5, 6})));
  return ParameterSet(std::move(parameters));
}

struct Shared {
  testing::TempFolder folder;
  RankContext context = RankContext::single();
  ParameterSet parameters = two_parameters();
  RoundModel model;
  std::string path = folder.file("values.safetensors");

  Shared() {
    model.take(parameters, [](const Parameter&) { return RoundModel::Kind::kShared; });
  }
  SharedFile open(aggregate::Compression way = {}, bool is_model = false) const {
    return SharedFile({.path = path, .who = "silo a: its change", .way = way, .is_model = is_model},
                      parameters, model);
  }
  void write(const SharedValues& values, const aggregate::ServerState& server = {}) const {
    write_shared_file(path, context, parameters, model, values, server);
  }
};

TEST(SharedFile, GivesAModelAndItsControlsBack) {
  Shared shared;
  const at::Tensor w = numbers({7, 8, 9, 10}).view({2, 2}), b = numbers({-1, -2});
  shared.write({{w, b}}, {{"control/w", {0.5, 0.25}}});
  const SharedFile file = shared.open({}, /*is_model=*/true);
  EXPECT_THROW(shared.open(), Error);  // a change has no controls
  file.give_to(shared.model);
  EXPECT_TRUE(at::equal(shared.model.shared()[0].tensor, w));
  EXPECT_TRUE(at::equal(shared.model.shared()[1].tensor, b));
  EXPECT_EQ(file.controls(), (aggregate::ServerState{{"control/w", {0.5, 0.25}}}));
  const at::Tensor part = at::tensor({0.0, 0.0}, at::kDouble);
  file.read(0, 2, part);
  EXPECT_TRUE(at::equal(part, at::tensor({9.0, 10.0}, at::kDouble)));
}

TEST(SharedFile, ReadsACompressedChangeAsItArrivesInOneJob) {
  Shared shared;
  CompressedChanges compressed({.type = "int8"}, shared.parameters, shared.model);
  std::vector<at::Tensor> change = {numbers({0.3, -0.7, 0.01, 2}).view({2, 2}), numbers({1, -5})};
  CompressedChanges::Packed packed = compressed.apply(shared.context, change);
  shared.write({{}, std::move(packed)});
  const SharedFile file = shared.open({.type = "int8"});
  for (std::size_t place = 0; place < 2; ++place) {
    const at::Tensor read = at::tensor(std::vector<double>(place == 0 ? 4 : 2, 0.0), at::kDouble);
    file.read(place, 0, read);
    EXPECT_TRUE(at::equal(read, change[place].view(-1))) << place;
  }
  EXPECT_THROW(shared.open(), Error);  // bytes and not values
}

void expect_refused(const std::function<void()>& work, const std::string& words) {
  try {
    work();
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(SharedFile, NamesWhatCannotBeTaken) {
  Shared shared;
  const at::Tensor w = numbers({7, 8, 9, 10}).view({2, 2}), b = numbers({-1, std::nan("")});
  shared.write({{w, b}});
  expect_refused([&] { shared.open().require_finite(); }, "silo a: its change of b is not finite");
  shared.write({{w.to(at::kDouble), b}});
  expect_refused([&] { shared.open(); }, "has w as F64");
  const auto write_plain = [&](std::vector<SafetensorsSpec> specs) {
    SafetensorsWriter writer(shared.path, std::move(specs));
    for (const SafetensorsSpec& spec : writer.tensors())
      writer.write(at::tensor(std::vector<double>(static_cast<std::size_t>(spec.numel()), 0.0)));
    writer.finish();
  };
  write_plain({{"w", at::kFloat, {4}}, {"b", at::kFloat, {2}}});
  expect_refused([&] { shared.open(); }, "has w of shape [4], the model has [2, 2]");
  write_plain({{"w", at::kFloat, {2, 2}}});
  expect_refused([&] { shared.open(); }, "has no b");
  write_plain({{"w", at::kFloat, {2, 2}}, {"b", at::kFloat, {2}}, {"data", at::kFloat, {1}}});
  expect_refused([&] { shared.open(); }, "has data, which is no parameter that the silos share");
}

}  // namespace
}  // namespace moesaic
