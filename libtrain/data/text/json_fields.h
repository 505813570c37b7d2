// Reading of the parts of a tokenizer.json: what is missing, of the wrong type or not supported is
// named by its place in the file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace moesaic {

/// One object of the file with its place there: "tokenizer.json: normalizer.normalizers[1]".
class JsonPart {
 public:
  JsonPart(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  bool is_null() const { return value_->is_null(); }
  /// The member "type".
  std::string type() const { return text("type"); }

  bool has(std::string_view key) const;  // and it is not null
  std::string text(std::string_view key) const;
  std::string text(std::string_view key, const std::string& otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;
  std::int64_t number(std::string_view key, std::int64_t otherwise) const;
  std::uint32_t id(std::string_view key) const;
  JsonPart part(std::string_view key) const;  // null where it is missing
  std::vector<JsonPart> parts(std::string_view key) const;
  const Json& json() const { return *value_; }

  /// Error(kData): `type` of this `what` is not supported; names those that are.
  [[noreturn]] void refuse(std::string_view what, std::string_view supported) const;
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  const Json* value_;
  std::string where_;
};

}  // namespace moesaic
