#include "store/safetensors.h"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "core/digest.h"
#include "support/sample_hub.h"

namespace moesaic {
namespace {

using test::contains;

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                offsets);
}

std::string refusal(const std::string& header, std::size_t data_bytes) {
  const std::string file = test::safetensors_bytes(header, std::string(data_bytes, 'x'));
  return test::refusal_of([&] { read_safetensors_header(file, file.size(), "file"); });
}

TEST(SafetensorsHeader, GivesTensorsInOrderOfTheirValues) {
  const std::string header =
      "{" + entry("b", "F32", "[2,3]", "[4,28]") + R"(,"__metadata__":{"format":"pt","x":""},)" +
      entry("a", "BF16", "[2]", "[0,4]") + "," + entry("c", "I64", "[]", "[28,36]") + "," +
      entry("none", "F64", "[0,7]", "[36,36]") + "}  ";
  const std::string file = test::safetensors_bytes(header, std::string(36, 'x'));
  const SafetensorsHeader read = read_safetensors_header(file, file.size(), "file");
  ASSERT_EQ(read.tensors.size(), 4U);
  EXPECT_EQ(read.tensors[0].name, "a");
  EXPECT_EQ(read.tensors[1].name, "b");
  EXPECT_EQ(read.tensors[1].shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_STREQ(read.tensors[1].dtype->name, "F32");
  EXPECT_EQ(read.tensors[1].begin, 8 + header.size() + 4);
  EXPECT_EQ(read.tensors[3].end, file.size());
  EXPECT_EQ(read.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, MayHoldNothing) {
  const std::string file = test::safetensors_bytes("{}", "");
  EXPECT_TRUE(read_safetensors_header(file, file.size(), "file").tensors.empty());
}

TEST(SafetensorsHeader, OfAFileThatIsNoneIsRefused) {
  const auto beginning = [](const std::string& bytes, std::uint64_t size) {
    return test::refusal_of([&] { read_safetensors_header(bytes, size, "file"); });
  };
  EXPECT_TRUE(contains(beginning("", 0), "it has 0 bytes"));
  EXPECT_TRUE(contains(beginning("1234567", 7), "it has 7 bytes"));
  EXPECT_TRUE(contains(beginning(std::string(8, '\xff'), 8), "at most 50000000 are read"));
  EXPECT_TRUE(contains(beginning(test::safetensors_bytes("{}", "").substr(0, 9), 9), "cut off"));
  EXPECT_TRUE(contains(refusal("", 0), "invalid JSON"));
  EXPECT_TRUE(contains(refusal("[]", 0), "no JSON object"));
  EXPECT_TRUE(contains(refusal("7", 0), "no JSON object"));
  EXPECT_TRUE(contains(refusal("{", 0), "invalid JSON"));
  EXPECT_TRUE(contains(refusal("{} {}", 0), "invalid JSON"));
  EXPECT_TRUE(contains(refusal("{\"a\xff\":{}}", 0), "invalid JSON"));
  EXPECT_TRUE(contains(refusal(std::string(100, '['), 0), "nested deeper than 3"));
}

TEST(SafetensorsHeader, RefusesEveryWrongEntryAndNamesTheTensor) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("a":5)", "'a' is no object"},
      {R"("a":{})", "'a' has no dtype"},
      {R"("a":{"dtype":"U8","shape":[4]})", "'a' has no data_offsets"},
      {R"("a":{"dtype":"U8","data_offsets":[0,4]})", "'a' has no shape"},
      {R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1})", "unknown key 'x'"},
      {R"("a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]})", "'dtype' twice"},
      {R"("a":{"dtype":{"x":"U8"},"shape":[4],"data_offsets":[0,4]})", "dtype is a text"},
      {R"("a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]})", "nested deeper than 3"},
      {R"("a":{"dtype":"U8","shape":4,"data_offsets":[0,4]})", "list of non-negative integers"},
      {R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]})", "3 numbers, not 2"},
      {R"("a":{"dtype":"U8","shape":[4],"data_offsets":[]})", "0 numbers, not 2"},
      {entry("a", "U9", "[4]", "[0,4]"), "unknown dtype 'U9'"},
      {entry("a", "U8", "[-4]", "[0,4]"), "non-negative"},
      {entry("a", "U8", "[4.0]", "[0,4]"), "non-negative"},
      {entry("a", "U8", "[4e0]", "[0,4]"), "non-negative"},
      {entry("a", "U8", "[99999999999999999999]", "[0,4]"), "non-negative"},
      {entry("a", "U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), "over 8 dimensions"},
      {entry("a", "U8", "[5]", "[0,4]"), "has 4 bytes, but U8 of shape [5] takes 5"},
      {entry("a", "F64", "[4]", "[0,4]"), "takes 32"},
      {entry("a", "F4", "[3]", "[0,4]"), "impossible size"},
      {entry("a", "U8", "[4294967296,4294967296]", "[0,4]"), "impossible size"},
      {entry("a", "F64", "[1152921504606846976]", "[0,4]"), "impossible size"},
      {entry("a", "U8", "[4]", "[4,0]"), "ends at byte 0 before it begins at 4"},
      {entry("a", "U8", "[8]", "[0,8]"), "ends at byte 8 of 4"},
      {entry("a", "U8", "[3]", "[1,4]"), "after a hole from byte 0 on"},
      {entry("a", "U8", "[3]", "[0,3]"), "no tensor has the last 1"},
      {entry("a", "U8", "[3]", "[0,3]") + "," + entry("b", "U8", "[2]", "[2,4]"),
       "inside another one"},
      {entry("a", "U8", "[1]", "[0,1]") + "," + entry("b", "U8", "[1]", "[3,4]"), "after a hole"},
      {entry("a", "U8", "[4]", "[0,4]") + "," + entry("a", "U8", "[0]", "[4,4]"),
       "'a' is there twice"},
      {entry("", "U8", "[4]", "[0,4]"), "is no name of a tensor"},
      {entry("a b", "U8", "[4]", "[0,4]"), "is no name of a tensor"},
      {entry(std::string(1025, 'a'), "U8", "[4]", "[0,4]"), "is no name of a tensor"},
      {R"("__metadata__":{"a":5})", "__metadata__ holds texts only"},
      {R"("__metadata__":{"a":{}})", "__metadata__ holds texts only"},
      {R"("__metadata__":[])", "got an array"},
      {R"("__metadata__":{},"__metadata__":{})", "twice"}};
  for (const auto& [text, reason] : cases) {
    const std::string error = refusal("{" + text + "}", 4);
    EXPECT_TRUE(contains(error, reason)) << text << "\n" << error;
    EXPECT_TRUE(contains(error, "file")) << error;
  }
}

// Headers that are as large as is read, each of one kind of token.
TEST(SafetensorsHeader, OfHostileSizeIsRefused) {
  constexpr std::size_t kBytes = 49'000'000;
  EXPECT_TRUE(
      contains(refusal("{" + std::string(kBytes, '\n'), 0), "a piece of JSON of more than"));
  EXPECT_TRUE(
      contains(refusal("{\"" + std::string(kBytes, 'a'), 0), "a piece of JSON of more than"));
  EXPECT_TRUE(
      contains(refusal("{\"a\":" + std::string(kBytes, '1'), 0), "a piece of JSON of more than"));
  EXPECT_TRUE(contains(refusal(std::string(kBytes, '{'), 0), "nested deeper"));
  std::string many = "{";
  for (std::size_t i = 0; many.size() < kBytes; ++i) many += format("\"{:x}\":{{}},", i);
  EXPECT_TRUE(contains(refusal(many, 0), "'0' has no dtype"));
  std::string metadata = R"({"__metadata__":{)";
  for (std::size_t i = 0; metadata.size() < kBytes; ++i) metadata += format("\"{:x}\":\"\",", i);
  EXPECT_TRUE(contains(refusal(metadata, 0), "too many entries"));
  std::string shape = R"({"a":{"data_offsets":[)";
  while (shape.size() < kBytes) shape += "0,";
  EXPECT_TRUE(contains(refusal(shape + "0]}}", 0), "numbers, not 2"));
}

TEST(SafetensorsFile, GivesBackWhatTheWriterWroteInAllTypes) {
  const test::SampleFolder folder;
  test::HubTensors tensors;
  for (const auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    const std::string name = c10::toString(dtype);
    tensors[name] = test::sample_tensor(name, {5, 3}, dtype);
    tensors[name + ".scalar"] = test::sample_tensor(name, {}, dtype);
  }
  test::write_safetensors(folder.file("a.safetensors"), tensors);
  const SafetensorsFile file(folder.file("a.safetensors"));
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  EXPECT_STREQ(file.header().tensors.front().dtype->name, "F64");  // the widest first
  EXPECT_EQ(file.header().tensors.front().begin % 8, 0U);
  test::HubTensors read;
  for (const SafetensorsTensor& tensor : file.header().tensors) {
    read[tensor.name] = at::empty(tensor.shape, *weight_dtype(*tensor.dtype));
    file.read(tensor, 0, read[tensor.name]);
    EXPECT_EQ(file.digest(tensor),
              digest_of(read[tensor.name].const_data_ptr(), read[tensor.name].nbytes()));
  }
  EXPECT_EQ(test::different_tensor(tensors, read), "");
}

TEST(SafetensorsFile, ReadsSlicesAndConverts) {
  const test::SampleFolder folder;
  const at::Tensor values = test::sample_tensor("a", {40, 7}, at::kFloat);
  test::write_safetensors(folder.file("a.safetensors"), {{"a", values}});
  const SafetensorsFile file(folder.file("a.safetensors"));
  for (const auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor rows = at::empty({11, 7}, dtype);
    file.read(file.header().tensors[0], 13 * 7, rows);
    EXPECT_TRUE(at::equal(rows, values.narrow(0, 13, 11).to(dtype))) << dtype;
  }
}

// Other writers pad nothing: values may begin at any byte.
TEST(SafetensorsFile, ReadsValuesAtOddPlaces) {
  const test::SampleFolder folder;
  const at::Tensor values = test::sample_tensor("a", {6}, at::kDouble);
  const std::string data(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  const std::string header = "{" + entry("a", "F64", "[6]", "[0,48]") + "}";
  for (std::size_t pad = 0; pad < 8; ++pad) {
    test::write_text(folder.file("a.safetensors"),
                     test::safetensors_bytes(header + std::string(pad, ' '), data));
    const SafetensorsFile file(folder.file("a.safetensors"));
    for (const auto dtype : {at::kDouble, at::kFloat}) {
      const at::Tensor read = at::empty({6}, dtype);
      file.read(file.header().tensors[0], 0, read);
      EXPECT_TRUE(at::equal(read, values.to(dtype))) << pad;
    }
  }
}

// More than one piece of a read.
TEST(SafetensorsFile, ReadsTensorsThatAreLargerThanAPiece) {
  const test::SampleFolder folder;
  const at::Tensor values = at::arange(5'000'000, at::kFloat);
  test::write_safetensors(folder.file("a.safetensors"), {{"a", values}});
  const SafetensorsFile file(folder.file("a.safetensors"));
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor read = at::empty({4'999'997}, dtype);
    file.read(file.header().tensors[0], 3, read);
    EXPECT_TRUE(at::equal(read, values.narrow(0, 3, 4'999'997).to(dtype)));
  }
}

TEST(SafetensorsFile, ThatIsCutOffAnywhereIsRefused) {
  const test::SampleFolder folder;
  const std::string path = folder.file("a.safetensors");
  test::write_safetensors(path, {{"a", test::sample_tensor("a", {5}, at::kFloat)}});
  const std::string whole = read_file(path);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    test::write_text(path, whole.substr(0, size));
    EXPECT_NE(test::refusal_of([&] { const SafetensorsFile file(path); }), "") << size;
  }
  test::write_text(path, whole + "x");
  EXPECT_TRUE(contains(test::refusal_of([&] { const SafetensorsFile file(path); }), "the last 1"));
}

TEST(SafetensorsWriter, ThatIsNotFinishedLeavesNothing) {
  const test::SampleFolder folder;
  {
    SafetensorsWriter writer(folder.file("a.safetensors"), {{"a", at::kFloat, {4}}});
    writer.write(test::sample_tensor("a", {3}, at::kFloat));
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace moesaic
