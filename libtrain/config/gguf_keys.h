// What a GGUF file says of its model: the metadata under the name of its architecture. Each of them
// is about the model, so one that nobody has read is refused.
#pragma once

#include <initializer_list>
#include <set>
#include <string>

#include "config/gguf_header.h"

namespace moesaic {

/// Keys are given without the name of the architecture. Each call marks its key as read, and throws
/// Error(kCheckpoint), by name, where the value has another type.
class GgufKeys {
 public:
  explicit GgufKeys(const GgufHeader& header);

  const std::string& architecture() const { return architecture_; }
  std::optional<std::int64_t> integer(const char* key);
  std::optional<double> number(const char* key);
  std::optional<bool> flag(const char* key);
  std::optional<std::string_view> text(const char* key);
  /// Error(kCheckpoint) where the key is absent.
  std::int64_t required(const char* key);
  double required_number(const char* key);

  /// A key, a number or a flag, that is supported only with one of `allowed`.
  void only(const char* key, std::initializer_list<double> allowed, const std::string& reason);
  /// Keys that do not matter.
  void pass_over(std::initializer_list<const char*> keys);
  /// Error(kCheckpoint) that names the keys that are left.
  void refuse_unread() const;
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  const std::string& mark(const char* key);

  const GgufHeader& header_;
  std::string architecture_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace moesaic
