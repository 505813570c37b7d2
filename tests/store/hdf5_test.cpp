// What a hostile file of another program does is tested with h5py, in tests/parity/h5py_test.py.
#include "store/hdf5.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "core/fs.h"
#include "store/chunk_file.h"
#include "store/chunk_grid.h"
#include "support/sample_checkpoint.h"

namespace moesaic {
namespace {

using test::SampleFolder;

Hdf5Spec spec_of(const std::string& name, const std::vector<std::int64_t>& shape,
                 at::ScalarType dtype) {
  Hdf5Spec spec;
  spec.name = name;
  spec.shape = spec.chunk = shape;
  spec.chunk[0] = 2;
  spec.dtype = dtype;
  return spec;
}

constexpr at::ScalarType kDtypes[] = {at::kDouble, at::kFloat, at::kBFloat16, at::kLong};

std::string name_of(at::ScalarType dtype) { return "group/" + dtype_name(dtype); }

void write_sample(const std::string& path) {
  Hdf5File file = Hdf5File::lay_out(path);
  std::map<at::ScalarType, std::vector<std::int64_t>> places;
  for (const auto dtype : kDtypes) {
    Hdf5Dataset dataset = file.create_dataset(spec_of(name_of(dtype), {5, 3}, dtype));
    places[dtype] = dataset.place_chunks();
    dataset.set_attribute("dtype", dtype_name(dtype));
    dataset.close();
  }
  file.close();
  ChunkFile chunks(path);
  for (const auto dtype : kDtypes) {
    // Three chunks of two rows; the last row of the last one is beyond the dataset.
    const at::Tensor values = at::zeros({6, 3}, dtype);
    values.narrow(0, 0, 5).copy_(test::sample_tensor(name_of(dtype), {5, 3}, dtype));
    ASSERT_EQ(places[dtype].size(), 3U);
    for (std::int64_t i = 0; i < 3; ++i) {
      const at::Tensor chunk = values.narrow(0, 2 * i, 2);
      chunks.write(places[dtype][static_cast<std::size_t>(i)], chunk.const_data_ptr(),
                   chunk.nbytes(), "the sample");
    }
  }
}

TEST(Hdf5File, GivesBackEveryTypeBitForBit) {
  const SampleFolder folder;
  write_sample(folder.file("a.h5"));
  const Hdf5File file = Hdf5File::open(folder.file("a.h5"));
  EXPECT_EQ(file.dataset_names(), (std::vector<std::string>{"group/bfloat16", "group/float32",
                                                            "group/float64", "group/int64"}));
  for (const std::string& name : file.dataset_names()) {
    const Hdf5Dataset dataset = file.dataset(name);
    EXPECT_EQ(name, "group/" + dtype_name(dataset.spec().dtype));
    EXPECT_EQ(dataset.spec().shape, (std::vector<std::int64_t>{5, 3}));
    EXPECT_EQ(dataset.attribute("dtype"), dtype_name(dataset.spec().dtype));
    EXPECT_EQ(dataset.attribute("absent"), "");
    const at::Tensor rows = at::empty({3, 3}, dataset.spec().dtype);
    dataset.read_rows(1, 3, rows.mutable_data_ptr());
    EXPECT_TRUE(
        at::equal(rows, test::sample_tensor(name, {5, 3}, dataset.spec().dtype).narrow(0, 1, 3)))
        << name;
  }
}

TEST(Hdf5File, OfEqualContentIsEqualByteForByte) {
  const SampleFolder folder;
  write_sample(folder.file("a.h5"));
  write_sample(folder.file("b.h5"));
  EXPECT_EQ(read_file(folder.file("a.h5")), read_file(folder.file("b.h5")));
}

TEST(Hdf5File, FindsAFlippedBitInAValueByItself) {
  const SampleFolder folder;
  write_sample(folder.file("a.h5"));
  std::string bytes = read_file(folder.file("a.h5"));
  const at::Tensor values = test::sample_tensor("group/float64", {5, 3}, at::kDouble);
  const std::string first_row(static_cast<const char*>(values.const_data_ptr()), 24);
  const std::size_t place = bytes.find(first_row);
  ASSERT_NE(place, std::string::npos);
  bytes[place + 3] = static_cast<char>(bytes[place + 3] ^ 1);
  std::ofstream(folder.file("a.h5"), std::ios::binary) << bytes;
  const Hdf5File file = Hdf5File::open(folder.file("a.h5"));
  std::vector<double> rows(15);
  EXPECT_THROW(file.dataset("group/float64").read_rows(0, 5, rows.data()), Error);  // Fletcher32
}

TEST(Hdf5File, SaysWhatIsWrongWithAPath) {
  const SampleFolder folder;
  std::ofstream(folder.file("text.h5")) << "no HDF5 in here";
  for (const char* name : {"text.h5", "absent.h5"}) {
    try {
      Hdf5File::open(folder.file(name));
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
      EXPECT_NE(std::string(error.what()).find(folder.file(name)), std::string::npos)
          << error.what();
    }
  }
}

TEST(Hdf5File, RefusesADatasetThatWasNeverWritten) {
  const SampleFolder folder;
  Hdf5File file = Hdf5File::lay_out(folder.file("a.h5"));
  file.create_dataset(spec_of("empty", {1000, 1000}, at::kDouble)).close();
  file.close();
  EXPECT_THROW(Hdf5File::open(folder.file("a.h5")).dataset("empty"), Error);
}

TEST(Hdf5Dataset, HasRoomForEveryChunkAndTouchesNoPageTwice) {
  const SampleFolder folder;
  Hdf5File file = Hdf5File::lay_out(folder.file("a.h5"));
  Hdf5Spec spec = spec_of("x", {300, 128, 64}, at::kFloat);
  Hdf5Dataset dataset = file.create_dataset(spec);
  std::vector<std::int64_t> places = dataset.place_chunks();
  dataset.close();
  file.close();
  const ChunkGrid grid(spec);
  ASSERT_EQ(places.size(), 150U);
  std::sort(places.begin(), places.end());
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[i] % 4096, 0);
    const std::int64_t end =
        i + 1 < places.size()
            ? places[i + 1]
            : static_cast<std::int64_t>(std::filesystem::file_size(folder.file("a.h5")));
    EXPECT_GE(end - places[i], static_cast<std::int64_t>(grid.stored_bytes()));
  }
}

}  // namespace
}  // namespace moesaic
