#include "config/gguf_header.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/format.h"
#include "core/json.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kMaxKeys = 65'536, kMaxTensors = 250'000, kMaxDimensions = 4;
constexpr std::uint64_t kMaxName = 1024, kMaxText = 16U << 20, kMaxAlignment = 1U << 20;
constexpr std::uint64_t kMaxElements = 4'000'000;             // of one array
constexpr std::uint64_t kMaxValues = std::uint64_t{1} << 48;  // of one tensor

enum Type : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64,
  kTypes
};
constexpr std::uint64_t kSize[kTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

constexpr GgufTensorType kTensorTypes[] = {{0, "F32", 1, 4},
                                           {1, "F16", 1, 2},
                                           {2, "Q4_0", 32, 18},
                                           {3, "Q4_1", 32, 20},
                                           {6, "Q5_0"},
                                           {7, "Q5_1"},
                                           {8, "Q8_0", 32, 34},
                                           {9, "Q8_1"},
                                           {10, "Q2_K"},
                                           {11, "Q3_K"},
                                           {12, "Q4_K", 256, 144},
                                           {13, "Q5_K"},
                                           {14, "Q6_K", 256, 210},
                                           {15, "Q8_K"},
                                           {16, "IQ2_XXS"},
                                           {17, "IQ2_XS"},
                                           {18, "IQ3_XXS"},
                                           {19, "IQ1_S"},
                                           {20, "IQ4_NL"},
                                           {21, "IQ3_S"},
                                           {22, "IQ2_S"},
                                           {23, "IQ4_XS"},
                                           {24, "I8"},
                                           {25, "I16"},
                                           {26, "I32"},
                                           {27, "I64"},
                                           {28, "F64"},
                                           {29, "IQ1_M"},
                                           {30, "BF16", 1, 2},
                                           {34, "TQ1_0"},
                                           {35, "TQ2_0"},
                                           {39, "MXFP4"}};

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kCheckpoint, format("{}: {} (near byte {})", where_, what, at_),
                "fetch the file again: it is damaged, or no GGUF file");
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) fail("the header ends before the file does");
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  template <class T>
  T value() {
    T x;
    std::memcpy(&x, take(sizeof x).data(), sizeof x);
    return x;
  }
  std::uint64_t at_most(std::uint64_t most, const char* what) {
    const auto count = value<std::uint64_t>();
    if (count > most) fail(format("{} {}, of at most {}", count, what, most));
    return count;
  }
  std::string_view text(std::uint64_t most) { return take(at_most(most, "bytes of text")); }
  std::string name() {
    const std::string_view name = text(kMaxName);
    if (name.empty() ||
        !std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; }))
      fail(format("'{}' is no name", printable(name)));
    return std::string(name);
  }
  std::uint64_t place() const { return at_; }

 private:
  std::string_view bytes_;
  const std::string& where_;
  std::uint64_t at_ = 0;
};

// The number that was meant: 1e-05, not the 9.99999974...e-06 that float32 makes of it.
double shortest(float x) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), x);
  double value = 0;
  std::from_chars(text, end.ptr, value);
  return value;
}

GgufArray read_array(Reader& reader) {
  GgufArray array{reader.value<std::uint32_t>(), reader.at_most(kMaxElements, "elements"), {}};
  if (array.type >= kTypes || array.type == kArray)
    reader.fail(format("an array of type {}", array.type));
  if (array.type != kText) {
    array.bytes = reader.take(array.count * kSize[array.type]);
    return array;
  }
  Reader texts = reader;  // measures them first
  for (std::uint64_t i = 0; i < array.count; ++i) texts.text(kMaxText);
  array.bytes = reader.take(texts.place() - reader.place());
  return array;
}

GgufValue read_value(Reader& reader) {
  switch (const auto type = reader.value<std::uint32_t>()) {
    case kU8:
      return std::int64_t{reader.value<std::uint8_t>()};
    case kI8:
      return std::int64_t{reader.value<std::int8_t>()};
    case kU16:
      return std::int64_t{reader.value<std::uint16_t>()};
    case kI16:
      return std::int64_t{reader.value<std::int16_t>()};
    case kU32:
      return std::int64_t{reader.value<std::uint32_t>()};
    case kI32:
      return std::int64_t{reader.value<std::int32_t>()};
    case kF32:
      return shortest(reader.value<float>());
    case kBool:
      return reader.value<std::uint8_t>() != 0;
    case kText:
      return reader.text(kMaxText);
    case kArray:
      return read_array(reader);
    case kU64:
    case kI64:
      return reader.value<std::int64_t>();
    case kF64:
      return reader.value<double>();
    default:
      reader.fail(format("a value of type {}", type));
  }
}

const GgufTensorType* tensor_type(Reader& reader, const std::string& name) {
  const auto number = reader.value<std::uint32_t>();
  const auto* const found =
      std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes),
                   [&](const GgufTensorType& t) { return t.number == number; });
  if (found == std::end(kTensorTypes))
    reader.fail(format("tensor {} has the unknown type {}", name, number));
  if (found->values == 0)
    reader.fail(format("tensor {} is {}; F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K and Q6_K are read",
                       name, found->name));
  return found;
}

// `begin` counts from the start of the values.
GgufTensor read_tensor(Reader& reader) {
  GgufTensor tensor;
  tensor.name = reader.name();
  const auto dimensions = reader.value<std::uint32_t>();
  if (dimensions == 0 || dimensions > kMaxDimensions)
    reader.fail(
        format("tensor {} has {} dimensions, of 1 to {}", tensor.name, dimensions, kMaxDimensions));
  std::uint64_t values = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto size = reader.value<std::uint64_t>();
    if (size == 0 || size > kMaxValues / values)
      reader.fail(format("tensor {} has a dimension of {}", tensor.name, size));
    values *= size;
    tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(size));
  }
  tensor.type = tensor_type(reader, tensor.name);
  if (tensor.shape.back() % tensor.type->values != 0)
    reader.fail(format("tensor {} has rows of {} values, which {} stores in blocks of {}",
                       tensor.name, tensor.shape.back(), tensor.type->name, tensor.type->values));
  tensor.begin = reader.value<std::uint64_t>();
  tensor.end = values / tensor.type->values * tensor.type->bytes;  // the size, for now
  return tensor;
}

std::uint64_t alignment(const GgufHeader& header, const Reader& reader) {
  const std::int64_t value = header.integer("general.alignment").value_or(32);
  if (value < 1 || value > static_cast<std::int64_t>(kMaxAlignment) ||
      !std::has_single_bit(static_cast<std::uint64_t>(value)))
    reader.fail(format("general.alignment is {}", value));
  return static_cast<std::uint64_t>(value);
}

// Offsets from the end of the header become places in the file. Tensors must not overlap.
void place_tensors(GgufHeader& header, const Reader& reader, std::uint64_t file_bytes) {
  const std::uint64_t step = alignment(header, reader);
  const std::uint64_t start = (reader.place() + step - 1) / step * step;
  for (GgufTensor& tensor : header.tensors) {
    const std::uint64_t size = tensor.end;
    if (tensor.begin % step != 0 || start > file_bytes || tensor.begin > file_bytes - start ||
        size > file_bytes - start - tensor.begin)
      reader.fail(format("tensor {} has {} bytes at {}, and the file has {}", tensor.name, size,
                         tensor.begin, file_bytes));
    tensor.begin += start;
    tensor.end = tensor.begin + size;
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < header.tensors.size(); ++i) {
    if (header.tensors[i].begin < header.tensors[i - 1].end)
      reader.fail(
          format("tensors {} and {} overlap", header.tensors[i - 1].name, header.tensors[i].name));
  }
  std::vector<std::string_view> names;
  for (const GgufTensor& tensor : header.tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) reader.fail(format("tensor {} is there twice", *twice));
}

template <class T>
std::optional<T> value_of(const GgufHeader& header, std::string_view key, const char* wanted) {
  const auto found = header.metadata.find(key);
  if (found == header.metadata.end()) return std::nullopt;
  if (const T* const value = std::get_if<T>(&found->second)) return *value;
  throw Error(ErrorKind::kCheckpoint, format("{}: {} is no {}", header.where, key, wanted));
}

}  // namespace

GgufHeader read_gguf_header(std::string_view file, const std::string& where) {
  Reader reader(file, where);
  if (file.size() < 24 || reader.take(4) != "GGUF") reader.fail("this is no GGUF file");
  const auto version = reader.value<std::uint32_t>();
  if (version < 2 || version > 3)
    reader.fail(format("version {} of GGUF; 2 and 3 are read", version));
  GgufHeader header;
  header.where = where;
  const std::uint64_t tensors = reader.at_most(kMaxTensors, "tensors");
  const std::uint64_t keys = reader.at_most(kMaxKeys, "keys");
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string key = reader.name();
    if (!header.metadata.emplace(key, read_value(reader)).second)
      reader.fail(format("key {} is there twice", key));
  }
  for (std::uint64_t i = 0; i < tensors; ++i) header.tensors.push_back(read_tensor(reader));
  place_tensors(header, reader, file.size());
  return header;
}

const GgufTensor* GgufHeader::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const GgufTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::optional<std::int64_t> GgufHeader::integer(std::string_view key) const {
  return value_of<std::int64_t>(*this, key, "integer");
}

std::optional<double> GgufHeader::number(std::string_view key) const {
  const auto found = metadata.find(key);
  if (found != metadata.end() && std::holds_alternative<std::int64_t>(found->second))
    return static_cast<double>(std::get<std::int64_t>(found->second));
  return value_of<double>(*this, key, "number");
}

std::optional<bool> GgufHeader::flag(std::string_view key) const {
  return value_of<bool>(*this, key, "boolean");
}

std::optional<std::string_view> GgufHeader::text(std::string_view key) const {
  return value_of<std::string_view>(*this, key, "text");
}

std::vector<std::string_view> GgufHeader::texts(std::string_view key) const {
  const auto array = value_of<GgufArray>(*this, key, "array");
  if (!array) return {};
  MOESAIC_CHECK(array->type == kText, ErrorKind::kCheckpoint, "{}: {} is no array of texts", where,
                key);
  Reader reader(array->bytes, where);
  std::vector<std::string_view> texts;
  texts.reserve(array->count);
  for (std::uint64_t i = 0; i < array->count; ++i) texts.push_back(reader.text(kMaxText));
  return texts;
}

std::vector<std::int64_t> GgufHeader::integers(std::string_view key) const {
  const auto array = value_of<GgufArray>(*this, key, "array");
  if (!array) return {};
  MOESAIC_CHECK(array->type == kI32 || array->type == kU32, ErrorKind::kCheckpoint,
                "{}: {} is no array of 32-bit integers", where, key);
  Reader reader(array->bytes, where);
  std::vector<std::int64_t> values;
  for (std::uint64_t i = 0; i < array->count; ++i) values.push_back(reader.value<std::int32_t>());
  return values;
}

bool is_gguf(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return path.ends_with(".gguf") || std::string_view(magic, sizeof magic) == "GGUF";
}

}  // namespace moesaic
