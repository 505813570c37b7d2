#include "data/json_line.h"

#include <algorithm>

#include "core/json.h"

namespace moesaic {
namespace {

constexpr int kMaxDepth = 32;

// The parser's reason without its preamble. It quotes the input: cut short, and only what can be
// shown.
std::string short_reason(std::string reason) {
  constexpr std::size_t kLongest = 160;
  const std::size_t column =
      reason.find("column ");  // "[json...] parse error at line 1, column 7: why"
  if (column != std::string::npos) reason.erase(0, column);
  if (reason.size() > kLongest) reason = reason.substr(0, kLongest) + "...";
  std::replace_if(
      reason.begin(), reason.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return reason;
}

// The parser's events. Every method returns false to stop, with the reason in `problem`.
class LineHandler : public nlohmann::json_sax<Json> {
 public:
  enum class Wanted { kText, kIds };
  explicit LineHandler(Wanted wanted) : wanted_(wanted) {}

  bool null() override { return other("null"); }
  bool boolean(bool) override { return other("a boolean"); }
  bool number_integer(number_integer_t value) override { return other(format("{}", value)); }
  bool number_float(number_float_t, const string_t& value) override { return other(value); }
  bool binary(binary_t&) override { return other("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_ids_ || value > 0xffffffffU) return other(format("{}", value));
    ids.push_back(static_cast<std::uint32_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (!next_is_wanted_ || wanted_ != Wanted::kText) return other("a string");
    text.swap(value);
    next_is_wanted_ = false;
    return true;
  }

  bool start_object(std::size_t) override { return open("an object"); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool start_array(std::size_t) override {
    if (!next_is_wanted_ || wanted_ != Wanted::kIds) return open("an array");
    next_is_wanted_ = false;
    in_ids_ = true;
    return open("an array");
  }

  bool key(string_t& name) override {
    if (depth_ != 1 || name != wanted_name()) return true;
    if (found_) return stop(format("key \"{}\" is there twice", name));
    return found_ = next_is_wanted_ = true;
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    return stop("invalid JSON: " + short_reason(error.what()));
  }

  const char* wanted_name() const { return wanted_ == Wanted::kText ? "text" : "ids"; }
  bool found() const { return found_; }

  std::string text;
  std::vector<std::uint32_t> ids;
  std::string problem;

 private:
  bool stop(const std::string& why) {
    problem = why;
    return false;
  }

  // Any value but the wanted one.
  bool other(const std::string& what) {
    if (depth_ == 0 && what != "an object") return stop(format("{}, must be an object", what));
    if (in_ids_) {
      return stop(
          format("\"ids\"[{}] is {}, must be an integer from 0 to 4294967295", ids.size(), what));
    }
    if (!next_is_wanted_) return true;
    const char* must = wanted_ == Wanted::kText ? "a string" : "an array of token ids";
    return stop(format("\"{}\" is {}, must be {}", wanted_name(), what, must));
  }

  bool open(const char* what) {
    const bool enters_ids = in_ids_ && depth_ == 1;
    if (!enters_ids && !other(what)) return false;
    if (++depth_ > kMaxDepth) return stop(format("nested deeper than {} levels", kMaxDepth));
    return true;
  }

  bool close() {
    --depth_;
    in_ids_ = false;  // nothing opens within it
    return true;
  }

  Wanted wanted_;
  int depth_ = 0;
  bool found_ = false, next_is_wanted_ = false, in_ids_ = false;
};

LineHandler read_line(std::string_view line, const std::string& where, LineHandler::Wanted wanted) {
  LineHandler handler(wanted);
  const bool whole = Json::sax_parse(line.begin(), line.end(), &handler);
  MOESAIC_CHECK(whole, ErrorKind::kData, "{}: {}", where, handler.problem);
  MOESAIC_CHECK(handler.found(), ErrorKind::kData, "{}: key \"{}\" is missing", where,
                handler.wanted_name());
  return handler;
}

}  // namespace

std::string read_text_line(std::string_view line, const std::string& where) {
  return read_line(line, where, LineHandler::Wanted::kText).text;
}

std::vector<std::uint32_t> read_ids_line(std::string_view line, const std::string& where) {
  return read_line(line, where, LineHandler::Wanted::kIds).ids;
}

}  // namespace moesaic
