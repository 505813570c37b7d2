#include "data/json_line.h"

#include "core/json.h"

namespace moesaic {
namespace {

constexpr int kMaxDepth = 32;

constexpr std::size_t kLongestNumber = 40;  // shown

// The parser's reason without its preamble, "[json...] parse error at line 1, ". It quotes the
// input.
std::string short_reason(std::string_view reason) {
  const std::size_t column = reason.find("column ");
  return printable(reason.substr(column == std::string_view::npos ? 0 : column), 160);
}

// The parser's events. Every method returns false to stop, with the reason in `problem`.
class LineHandler : public nlohmann::json_sax<Json> {
 public:
  LineHandler(bool text, bool ids) : wants_text_(text), wants_ids_(ids) {}

  bool null() override { return other("null"); }
  bool boolean(bool) override { return other("a boolean"); }
  bool number_integer(number_integer_t value) override { return other(format("{}", value)); }
  bool number_float(number_float_t, const string_t& value) override {
    return other(printable(value, kLongestNumber));
  }
  bool binary(binary_t&) override { return other("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_ids_ || value > 0xffffffffU) return other(format("{}", value));
    result.ids.push_back(static_cast<std::uint32_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (next_ != Value::kText) return other("a string");
    result.text.emplace().swap(value);
    next_ = Value::kAny;
    return true;
  }

  bool start_object(std::size_t) override { return open("an object"); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool start_array(std::size_t) override {
    if (next_ == Value::kIds) {
      next_ = Value::kAny;
      in_ids_ = true;
    }
    return open("an array");
  }

  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    if (wants_text_ && name == "text") return found(Value::kText, has_text_, name);
    if (wants_ids_ && name == "ids") return found(Value::kIds, has_ids_, name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    return stop("invalid JSON: " + short_reason(error.what()));
  }

  /// Error(kData) unless exactly one wanted key was there.
  void require_one(const std::string& where) const {
    MOESAIC_CHECK(!has_text_ || !has_ids_, ErrorKind::kData,
                  "{}: has both \"text\" and \"ids\"; keep one of them", where);
    if (has_text_ || has_ids_) return;
    const char* wanted = wants_text_ && wants_ids_ ? "\"text\" or \"ids\""
                         : wants_text_             ? "\"text\""
                                                   : "\"ids\"";
    throw Error(ErrorKind::kData, format("{}: key {} is missing", where, wanted));
  }

  TextOrIds result;
  std::string problem;

 private:
  enum class Value { kAny, kText, kIds };  // what must come next

  bool found(Value value, bool& before, const string_t& name) {
    if (before) return stop(format("key \"{}\" is there twice", name));
    next_ = value;
    return before = true;
  }

  bool stop(const std::string& why) {
    problem = why;
    return false;
  }

  // Any value but a wanted one.
  bool other(const std::string& what) {
    if (depth_ == 0 && what != "an object") return stop(format("{}, must be an object", what));
    if (in_ids_) {
      return stop(format("\"ids\"[{}] is {}, must be an integer from 0 to 4294967295",
                         result.ids.size(), what));
    }
    if (next_ == Value::kText) return stop(format("\"text\" is {}, must be a string", what));
    if (next_ == Value::kIds) {
      return stop(format("\"ids\" is {}, must be an array of token ids", what));
    }
    return true;
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

  bool wants_text_, wants_ids_;
  bool has_text_ = false, has_ids_ = false;
  int depth_ = 0;
  Value next_ = Value::kAny;
  bool in_ids_ = false;
};

TextOrIds read_line(std::string_view line, const std::string& where, LineHandler handler) {
  const bool whole = Json::sax_parse(line.begin(), line.end(), &handler);
  MOESAIC_CHECK(whole, ErrorKind::kData, "{}: {}", where, handler.problem);
  handler.require_one(where);
  return std::move(handler.result);
}

}  // namespace

std::string read_text_line(std::string_view line, const std::string& where) {
  return *read_line(line, where, LineHandler(true, false)).text;
}

std::vector<std::uint32_t> read_ids_line(std::string_view line, const std::string& where) {
  return read_line(line, where, LineHandler(false, true)).ids;
}

TextOrIds read_text_or_ids_line(std::string_view line, const std::string& where) {
  return read_line(line, where, LineHandler(true, true));
}

}  // namespace moesaic
