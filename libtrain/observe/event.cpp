#include "observe/event.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "observe/crc32c.h"

namespace moesaic::event {
namespace {

constexpr int kHistogramBuckets = 30;

template <class Integer>
void append_little_endian(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

// One protobuf message. Field numbers are those of event.proto and summary.proto of TensorFlow.
class Message {
 public:
  Message& integer(int field, std::int64_t value) {
    tag(field, 0);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& real(int field, double value) {
    tag(field, 1);
    append_little_endian(bytes_, std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Message& real32(int field, float value) {
    tag(field, 5);
    append_little_endian(bytes_, std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    tag(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  Message& packed(int field, const std::vector<double>& values) {
    std::string data;
    for (const double value : values)
      append_little_endian(data, std::bit_cast<std::uint64_t>(value));
    return bytes(field, data);
  }

  const std::string& str() const { return bytes_; }

 private:
  void tag(int field, int wire_type) {
    varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire_type));
  }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

Message new_event(double wall_time, std::int64_t step) {
  return Message().real(1, wall_time).integer(2, step);
}

// HistogramProto of finite, non-empty `values`: equal buckets from the least to the greatest;
// bucket_limit is a bucket's upper end.
Message histogram(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double least = *low, greatest = *high;
  const int buckets = least < greatest ? kHistogramBuckets : 1;
  std::vector<double> limits, counts(static_cast<std::size_t>(buckets));
  for (int i = 1; i < buckets; ++i) {
    const double share = static_cast<double>(i) / buckets;
    limits.push_back(least * (1 - share) + greatest * share);
  }
  limits.push_back(greatest);
  double sum = 0, sum_squares = 0;
  for (const double value : values) {
    sum += value, sum_squares += value * value;
    const auto bucket = std::lower_bound(limits.begin(), limits.end(), value) - limits.begin();
    counts[static_cast<std::size_t>(bucket)] += 1;
  }
  return Message()
      .real(1, least)
      .real(2, greatest)
      .real(3, static_cast<double>(values.size()))
      .real(4, sum)
      .real(5, sum_squares)
      .packed(6, limits)
      .packed(7, counts);
}

}  // namespace

std::string file_version(double wall_time) {
  return Message().real(1, wall_time).bytes(3, "brain.Event:2").str();
}

std::string session_start(double wall_time, std::int64_t step) {
  return new_event(wall_time, step).message(7, Message().integer(1, 1)).str();
}

std::string summary(double wall_time, const MetricsRow& row) {
  Message all;
  for (const auto& [name, value] : row.values) {
    all.message(1, Message().bytes(1, name).real32(2, static_cast<float>(value)));
  }
  for (const auto& [name, elements] : row.vectors) {
    std::vector<double> finite;
    std::copy_if(elements.begin(), elements.end(), std::back_inserter(finite),
                 [](double value) { return std::isfinite(value); });
    if (!finite.empty()) all.message(1, Message().bytes(1, name).message(5, histogram(finite)));
  }
  return new_event(wall_time, row.step).message(5, all).str();
}

std::string record(std::string_view event) {
  std::string length;
  append_little_endian(length, std::uint64_t{event.size()});
  std::string framed = length;
  append_little_endian(framed, masked_crc32c(length));
  framed += event;
  append_little_endian(framed, masked_crc32c(event));
  return framed;
}

}  // namespace moesaic::event
