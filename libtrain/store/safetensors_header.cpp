#include "store/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/json_events.h"

namespace moesaic {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxName = 1024;        // that HDF5 is given too
constexpr std::size_t kMaxDimensions = 8;     // as HDF5 files have here
constexpr std::size_t kMaxMetadata = 10'000;  // entries
constexpr std::uint64_t kMaxValues = std::uint64_t{1} << 60;

constexpr SafetensorsDtype kDtypes[] = {
    {"F64", 64},    {"F32", 32},        {"F16", 16},        {"BF16", 16},   {"I64", 64},
    {"I32", 32},    {"I16", 16},        {"I8", 8},          {"U64", 64},    {"U32", 32},
    {"U16", 16},    {"U8", 8},          {"BOOL", 8},        {"C64", 64},    {"F8_E4M3", 8},
    {"F8_E5M2", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6},
    {"F6_E3M2", 6}, {"F4", 4}};

/// Events of the header's JSON -> tensors with offsets as they are written there.
class HeaderReader : public JsonEvents {
 public:
  explicit HeaderReader(const std::string& where) : JsonEvents(where, ErrorKind::kCheckpoint) {}

  bool start_object(std::size_t) override {
    if (level_ == Level::kNone) {
      level_ = Level::kTop;
    } else if (level_ == Level::kTop) {
      level_ = is_metadata_ ? Level::kMetadata : Level::kTensor;
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool end_object() override {
    if (level_ == Level::kTensor) finish_tensor();
    level_ = level_ == Level::kTop ? Level::kDone : Level::kTop;
    return true;
  }

  bool key(string_t& value) override {
    if (level_ == Level::kTop) {
      begin_tensor(value);
    } else if (level_ == Level::kMetadata) {
      key_ = value;
    } else {
      field_ = field_of(value);
      if (seen(field_)) fail(format("{} has '{}' twice", tensor(), value));
      fields_ |= bit(field_);
    }
    return true;
  }

  bool string(string_t& value) override {
    if (level_ == Level::kMetadata) {
      if (!header.metadata.emplace(key_, value).second)
        fail("__metadata__ has a key twice: " + key_);
      if (header.metadata.size() > kMaxMetadata) fail("__metadata__ has too many entries");
      return true;
    }
    if (level_ != Level::kTensor || field_ != Field::kDtype) return unexpected("'" + value + "'");
    header.tensors.back().dtype = find_safetensors_dtype(value);
    if (header.tensors.back().dtype == nullptr)
      fail(format("{}: unknown dtype '{}'", tensor(), value));
    return true;
  }

  bool start_array(std::size_t) override {
    const bool expected =
        level_ == Level::kTensor && (field_ == Field::kShape || field_ == Field::kOffsets);
    if (!expected || in_array_) return unexpected("an array");
    in_array_ = true;
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    if (field_ == Field::kOffsets && num_offsets_ != 2) {
      fail(format("{}: data_offsets are {} numbers, not 2", tensor(), num_offsets_));
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_ || value > kMaxValues) return unexpected(format("{}", value));
    SafetensorsTensor& now = header.tensors.back();
    if (field_ == Field::kShape) {
      if (now.shape.size() == kMaxDimensions)
        fail(format("{} has over {} dimensions", tensor(), kMaxDimensions));
      now.shape.push_back(static_cast<std::int64_t>(value));
    } else {
      (num_offsets_ == 0 ? now.begin : now.end) = value;
      ++num_offsets_;
    }
    return true;
  }

  void finish() const {
    if (level_ != Level::kDone) fail("the header is no JSON object");
  }

  SafetensorsHeader header;

 protected:
  bool unexpected(const std::string& got) const override {
    if (level_ == Level::kNone) fail("the header is no JSON object");
    if (level_ == Level::kMetadata) fail("__metadata__ holds texts only, got " + printable(got));
    if (level_ == Level::kTop)
      fail(format("'{}' is no object of a tensor, got {}", name_, printable(got)));
    fail(format("{}: {} got {}", tensor(), expectation(), printable(got)));
  }

 private:
  enum class Level { kNone, kTop, kMetadata, kTensor, kDone };
  enum class Field : unsigned { kDtype, kShape, kOffsets };

  static constexpr unsigned bit(Field field) { return 1U << static_cast<unsigned>(field); }
  bool seen(Field field) const { return (fields_ & bit(field)) != 0; }
  std::string tensor() const { return "tensor '" + name_ + "'"; }

  const char* expectation() const {
    if (fields_ == 0) return "an object of dtype, shape and data_offsets is expected,";
    if (field_ == Field::kDtype) return "dtype is a text,";
    return field_ == Field::kShape ? "shape is a list of non-negative integers,"
                                   : "data_offsets are two non-negative integers,";
  }

  Field field_of(const std::string& key) const {
    if (key == "dtype") return Field::kDtype;
    if (key == "shape") return Field::kShape;
    if (key == "data_offsets") return Field::kOffsets;
    fail(format("{}: unknown key '{}' (dtype, shape, data_offsets)", tensor(), key));
  }

  void begin_tensor(const std::string& name) {
    name_ = name;
    is_metadata_ = name == "__metadata__";
    if (is_metadata_) {
      if (has_metadata_) fail("__metadata__ is there twice");
      has_metadata_ = true;
      return;
    }
    if (!is_weight_name(name))
      fail(format("'{}' ({} bytes) is no name of a tensor", printable(name, 80), name.size()));
    if (header.tensors.size() == kMaxSafetensorsTensors)
      fail(format("over {} tensors", kMaxSafetensorsTensors));
    header.tensors.emplace_back().name = name;
    fields_ = 0;
    num_offsets_ = 0;
  }

  void finish_tensor() const {
    for (const auto& [field, text] : {std::pair{Field::kDtype, "dtype"},
                                      {Field::kShape, "shape"},
                                      {Field::kOffsets, "data_offsets"}}) {
      if (!seen(field)) fail(format("{} has no {}", tensor(), text));
    }
  }

  Level level_ = Level::kNone;
  Field field_ = Field::kDtype;
  unsigned fields_ = 0;  // of the tensor, that were there
  unsigned num_offsets_ = 0;
  bool in_array_ = false;
  bool is_metadata_ = false;
  bool has_metadata_ = false;
  std::string name_;
  std::string key_;
};

/// Bytes that the tensor's values take; nullopt when that is no number of bytes or too large.
std::optional<std::uint64_t> bytes_of(const SafetensorsTensor& tensor) {
  std::uint64_t values = 1;
  bool fits = true;
  for (const std::int64_t extent : tensor.shape) {
    std::uint64_t product = 0;
    fits = fits && !__builtin_mul_overflow(values, static_cast<std::uint64_t>(extent), &product) &&
           product <= kMaxValues;
    values = product;
  }
  std::uint64_t bits = 0;
  if (!fits || __builtin_mul_overflow(values, tensor.dtype->bits, &bits) || bits % 8 != 0) {
    return std::nullopt;
  }
  return bits / 8;
}

void check_names(const std::vector<SafetensorsTensor>& tensors, const std::string& where) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const SafetensorsTensor& tensor : tensors) names.emplace_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  MOESAIC_CHECK(twice == names.end(), ErrorKind::kCheckpoint, "{}: tensor '{}' is there twice",
                where, *twice);
}

/// Sorts by place, and turns offsets into places in the file.
void check_places(std::vector<SafetensorsTensor>& tensors, std::uint64_t start,
                  std::uint64_t data_bytes, const std::string& where) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t place = 0;
  for (SafetensorsTensor& tensor : tensors) {
    const auto refuse = [&](const std::string& why) {
      throw Error(ErrorKind::kCheckpoint, format("{}: tensor '{}' {}", where, tensor.name, why));
    };
    if (tensor.begin > tensor.end)
      refuse(format("ends at byte {} before it begins at {}", tensor.end, tensor.begin));
    if (tensor.end > data_bytes)
      refuse(format("ends at byte {} of {} bytes of values", tensor.end, data_bytes));
    if (tensor.begin < place) refuse(format("begins at byte {} inside another one", tensor.begin));
    if (tensor.begin > place)
      refuse(format("begins at byte {}, after a hole from byte {} on", tensor.begin, place));
    const auto bytes = bytes_of(tensor);
    if (!bytes)
      refuse(format("has an impossible size: {} of shape {}", tensor.dtype->name, tensor.shape));
    if (*bytes != tensor.end - tensor.begin) {
      refuse(format("has {} bytes, but {} of shape {} takes {}", tensor.end - tensor.begin,
                    tensor.dtype->name, tensor.shape, *bytes));
    }
    place = tensor.end;
    tensor.begin += start;
    tensor.end += start;
  }
  MOESAIC_CHECK(place == data_bytes, ErrorKind::kCheckpoint,
                "{}: {} bytes of values, of which no tensor has the last {}", where, data_bytes,
                data_bytes - place);
}

}  // namespace

bool is_weight_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

const SafetensorsDtype* find_safetensors_dtype(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kDtypes), std::end(kDtypes),
                   [name](const SafetensorsDtype& one) { return name == one.name; });
  return found == std::end(kDtypes) ? nullptr : found;
}

SafetensorsHeader read_safetensors_header(std::string_view beginning, std::uint64_t file_bytes,
                                          const std::string& where) {
  MOESAIC_CHECK(file_bytes >= kLengthBytes && beginning.size() >= kLengthBytes,
                ErrorKind::kCheckpoint, "{} is no safetensors file: it has {} bytes", where,
                file_bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, beginning.data(), kLengthBytes);  // little-endian, as this machine
  MOESAIC_CHECK(length <= kMaxSafetensorsHeader, ErrorKind::kCheckpoint,
                "{} is no safetensors file: its header would have {} bytes (at most {} are read)",
                where, length, kMaxSafetensorsHeader);
  MOESAIC_CHECK(length <= file_bytes - kLengthBytes && length <= beginning.size() - kLengthBytes,
                ErrorKind::kCheckpoint,
                "{} is cut off: its header of {} bytes does not fit {} bytes", where, length,
                file_bytes);
  HeaderReader reader(where);
  reader.read(beginning.substr(kLengthBytes, length),
              {.bytes = kMaxSafetensorsHeader, .depth = 3, .values = kMaxSafetensorsHeader});
  reader.finish();
  const std::uint64_t start = kLengthBytes + length;
  check_names(reader.header.tensors, where);
  check_places(reader.header.tensors, start, file_bytes - start, where);
  return std::move(reader.header);
}

}  // namespace moesaic
