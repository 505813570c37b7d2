// JsonEvents: reading JSON as a sequence of events, for texts whose tree of values would be too
// large for memory (a Json takes 16 bytes for a digit) or too slow to search.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace moesaic {

/// Base of a reader. It throws Error by fail() for what it does not expect; each event is refused
/// unless overridden (the bool is nlohmann's: always true).
class JsonEvents : public nlohmann::json_sax<Json> {
 public:
  JsonEvents(std::string where, ErrorKind kind) : where_(std::move(where)), kind_(kind) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(number_integer_t value) override { return unexpected(format("{}", value)); }
  bool number_unsigned(number_unsigned_t value) override { return unexpected(format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
  bool string(string_t& value) override { return unexpected("'" + value + "'"); }
  bool binary(binary_t&) override { return unexpected("binary"); }
  bool start_object(std::size_t) override { return unexpected("an object"); }
  bool start_array(std::size_t) override { return unexpected("an array"); }
  bool key(string_t& value) override { return unexpected("'" + value + "'"); }
  bool end_object() override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) final;

  /// Parses `text` within the limits (`members` is the reader's own business).
  void read(std::string_view text, const JsonLimits& limits);

 protected:
  /// Error(kind) "<where>: <what>"; `what` is made printable.
  [[noreturn]] void fail(const std::string& what) const;
  /// Fails with `got` and what is expected here, which the reader knows.
  virtual bool unexpected(const std::string& got) const = 0;

 private:
  std::string where_;
  ErrorKind kind_;
};

}  // namespace moesaic
