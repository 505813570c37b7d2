#include "store/safetensors.h"

#include <ATen/ops/empty.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <tuple>

#include "core/digest.h"
#include "core/json.h"
#include "core/path.h"

namespace moesaic {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values go to and come from files as they lie in memory");

constexpr std::int64_t kReadAtOnce = 8 << 20;

const char* name_in_file(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "F64";
    case at::kFloat:
      return "F32";
    case at::kHalf:
      return "F16";
    case at::kBFloat16:
      return "BF16";
    case at::kByte:  // not of weights
      return "U8";
    default:
      throw Error(ErrorKind::kInternal,
                  format("weights are not written as {}", c10::toString(dtype)));
  }
}

std::string header_text(const std::vector<SafetensorsSpec>& tensors) {
  std::string text = R"({"__metadata__":{"format":"pt"})";
  std::uint64_t place = 0;
  for (const SafetensorsSpec& tensor : tensors) {
    text += format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                   Json(tensor.name).dump(), name_in_file(tensor.dtype), join(tensor.shape, ","),
                   place, place + tensor.bytes());
    place += tensor.bytes();
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the values begin where any of them may
  return text;
}

}  // namespace

std::optional<at::ScalarType> weight_dtype(const SafetensorsDtype& dtype) {
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    if (&dtype == find_safetensors_dtype(name_in_file(type))) return type;
  }
  return std::nullopt;
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path),
      file_(path, ErrorKind::kCheckpoint),
      header_(read_safetensors_header(file_.bytes(), file_.bytes().size(), path)) {
  file_.release(0, std::min<std::uint64_t>(file_.bytes().size(), kMaxSafetensorsHeader));
}

bool SafetensorsFile::is_at(const std::string& path) {
  if (path.ends_with(".safetensors")) return true;
  char bytes[9] = {};
  std::ifstream(path, std::ios::binary).read(bytes, sizeof bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes, sizeof length);
  return bytes[8] == '{' && length <= kMaxSafetensorsHeader &&
         length + sizeof length <= file_size(path, ErrorKind::kCheckpoint);
}

void SafetensorsFile::read(const SafetensorsTensor& tensor, std::int64_t first,
                           const at::Tensor& into) const {
  const auto dtype = weight_dtype(*tensor.dtype);
  MOESAIC_ASSERT(dtype.has_value() && into.is_contiguous());
  const auto item = static_cast<std::int64_t>(c10::elementSize(*dtype));
  const auto begin = tensor.begin + static_cast<std::uint64_t>(first * item);
  MOESAIC_ASSERT(first >= 0 &&
                 begin + static_cast<std::uint64_t>(into.numel() * item) <= tensor.end);
  const at::Tensor flat = into.view({-1});
  const bool same = into.is_cpu() && into.scalar_type() == *dtype;
  const std::int64_t step = kReadAtOnce / item;
  const at::Tensor staging =
      same ? at::Tensor() : at::empty({std::min(step, flat.numel())}, *dtype);
  for (std::int64_t done = 0; done < flat.numel(); done += step) {
    const std::int64_t count = std::min(step, flat.numel() - done);
    const at::Tensor part = flat.narrow(0, done, count);
    // The file may have its values at odd places, so they are copied before they are used.
    const at::Tensor bytes = same ? part : staging.narrow(0, 0, count);
    const std::uint64_t place = begin + static_cast<std::uint64_t>(done * item);
    const auto size = static_cast<std::size_t>(count * item);
    std::memcpy(bytes.mutable_data_ptr(), file_.bytes().data() + place, size);
    file_.release(place, size);
    if (!same) part.copy_(bytes);
  }
}

std::string SafetensorsFile::digest(const SafetensorsTensor& tensor) const {
  Digest digest;
  for (std::uint64_t place = tensor.begin; place < tensor.end; place += kReadAtOnce) {
    const std::uint64_t size = std::min<std::uint64_t>(kReadAtOnce, tensor.end - place);
    digest.update(file_.bytes().substr(place, size));
    file_.release(place, size);
  }
  return digest.hex();
}

std::int64_t SafetensorsSpec::numel() const { return c10::multiply_integers(shape); }

std::uint64_t SafetensorsSpec::bytes() const {
  return static_cast<std::uint64_t>(numel()) * c10::elementSize(dtype);
}

std::vector<SafetensorsSpec> SafetensorsWriter::in_order(std::vector<SafetensorsSpec> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    const auto key = [](const SafetensorsSpec& one) {
      return std::tuple(-static_cast<int>(c10::elementSize(one.dtype)), one.dtype, one.name);
    };
    return key(a) < key(b);
  });
  return tensors;
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<SafetensorsSpec> tensors)
    : file_(path), tensors_(in_order(std::move(tensors))) {
  const std::string header = header_text(tensors_);
  MOESAIC_CHECK(header.size() <= kMaxSafetensorsHeader, ErrorKind::kCheckpoint,
                "{} would have {} tensors, more than one file can hold: choose smaller shards",
                path, tensors_.size());
  const std::uint64_t length = header.size();
  file_.write({reinterpret_cast<const char*>(&length), sizeof length});
  file_.write(header);
}

void SafetensorsWriter::write(const at::Tensor& values) {
  MOESAIC_ASSERT(current_ < tensors_.size());
  const SafetensorsSpec& tensor = tensors_[current_];
  MOESAIC_ASSERT(written_ + values.numel() <= tensor.numel());
  const at::Tensor bytes = values.detach().to(at::kCPU, tensor.dtype).contiguous();
  file_.write({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  written_ += values.numel();
  if (written_ == tensor.numel()) ++current_, written_ = 0;
}

void SafetensorsWriter::finish(Sync sync) {
  MOESAIC_ASSERT(current_ == tensors_.size());
  file_.finish(sync);
}

}  // namespace moesaic
