#include "data/text/json_fields.h"

namespace moesaic {
namespace {

const Json kNull;

}  // namespace

void JsonPart::fail(const std::string& problem) const {
  throw Error(ErrorKind::kData, format("{}: {}", where_, problem));
}

void JsonPart::refuse(std::string_view what, std::string_view supported) const {
  fail(format("{} '{}' is not supported (supported: {})", what, printable(type()), supported));
}

bool JsonPart::has(std::string_view key) const { return !part(key).is_null(); }

JsonPart JsonPart::part(std::string_view key) const {
  if (!value_->is_object()) fail("must be an object");
  const auto found = value_->find(key);
  return {found == value_->end() ? kNull : *found, format("{}.{}", where_, key)};
}

std::vector<JsonPart> JsonPart::parts(std::string_view key) const {
  const JsonPart list = part(key);
  if (!list.value_->is_array()) list.fail("must be a list");
  std::vector<JsonPart> out;
  for (std::size_t i = 0; i < list.value_->size(); ++i)
    out.emplace_back((*list.value_)[i], format("{}[{}]", list.where_, i));
  return out;
}

std::string JsonPart::text(std::string_view key) const {
  const JsonPart member = part(key);
  if (!member.value_->is_string()) member.fail("must be a string");
  return member.value_->get<std::string>();
}

std::string JsonPart::text(std::string_view key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

bool JsonPart::flag(std::string_view key, bool otherwise) const {
  const JsonPart member = part(key);
  if (member.is_null()) return otherwise;
  if (!member.value_->is_boolean()) member.fail("must be true or false");
  return member.value_->get<bool>();
}

std::int64_t JsonPart::number(std::string_view key, std::int64_t otherwise) const {
  const JsonPart member = part(key);
  if (member.is_null()) return otherwise;
  if (!member.value_->is_number_integer()) member.fail("must be an integer");
  return member.value_->get<std::int64_t>();
}

std::uint32_t JsonPart::id(std::string_view key) const {
  const std::int64_t value = number(key, -1);
  if (value < 0 || value > INT32_MAX)
    part(key).fail(format("must be a token id, 0 to {}", INT32_MAX));
  return static_cast<std::uint32_t>(value);
}

}  // namespace moesaic
