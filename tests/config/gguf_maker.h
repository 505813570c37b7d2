// A GGUF file, put together value by value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesaic::test {

class GgufMaker {
 public:
  template <class T>
  GgufMaker& add(T value) {
    const auto* const bytes = reinterpret_cast<const char*>(&value);
    bytes_.append(bytes, sizeof value);
    return *this;
  }
  GgufMaker& text(const std::string& value) {
    add<std::uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  GgufMaker& begin(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    bytes_ = "GGUF";
    return add(version).add(tensors).add(keys);
  }
  GgufMaker& integer(const std::string& key, std::uint32_t value) {
    return text(key).add<std::uint32_t>(4).add(value);
  }
  GgufMaker& number(const std::string& key, float value) {
    return text(key).add<std::uint32_t>(6).add(value);
  }
  GgufMaker& flag(const std::string& key, bool value) {
    return text(key).add<std::uint32_t>(7).add(value);
  }
  GgufMaker& words(const std::string& key, const std::string& value) {
    return text(key).add<std::uint32_t>(8).text(value);
  }
  GgufMaker& tensor(const std::string& name, std::vector<std::uint64_t> shape, std::uint32_t type,
                    std::uint64_t offset) {
    text(name).add(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t size : shape) add(size);
    return add(type).add(offset);
  }
  /// To the next multiple of 32, and `count` bytes more.
  std::string with_values(std::size_t count) const {
    std::string file = bytes_;
    file.resize((file.size() + 31) / 32 * 32 + count);
    return file;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace moesaic::test
