#include "data/text/tokenizer_file.h"

#include "core/error.h"
#include "core/json_events.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostMembers = 200'000;  // of the rest
constexpr std::size_t kLongestToken = 64 << 10;

class Reader : public JsonEvents {
 public:
  explicit Reader(const std::string& where) : JsonEvents(where, ErrorKind::kData) {}

  TokenizerFile file;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > INT32_MAX && place_ == Place::kVocabulary) fail("a token id above 2^31");
    return place_ == Place::kVocabulary ? number(static_cast<number_integer_t>(value)) : add(value);
  }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }

  bool string(string_t& value) override {
    if (place_ == Place::kRest) return add(value);
    if (value.size() > kLongestToken) fail("a token of more than 64 KiB");
    if (place_ == Place::kMerges) return merge(value);
    if (place_ != Place::kPair) return unexpected("a string");
    pair_.push_back(value);
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ != Place::kRest) return unexpected("an object");
    if (is_at("vocab")) {
      place_ = Place::kVocabulary;
      return true;
    }
    return open(Json::object());
  }
  bool end_object() override {
    if (place_ == Place::kVocabulary)
      place_ = Place::kRest;
    else
      open_.pop_back();
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kMerges) {
      place_ = Place::kPair;
      pair_.clear();
      return true;
    }
    if (place_ != Place::kRest) return unexpected("a list");
    if (is_at("vocab"))
      fail("model.vocab is a list: a Unigram model, which is not supported (BPE, WordPiece)");
    if (is_at("merges")) {
      place_ = Place::kMerges;
      file.merges.emplace();
      return true;
    }
    return open(Json::array());
  }
  bool end_array() override {
    if (place_ == Place::kPair) {
      if (pair_.size() != 2) fail(format("model.merges[{}] is no pair", file.merges->size()));
      file.merges->emplace_back(pair_[0], pair_[1]);
      place_ = Place::kMerges;
    } else if (place_ == Place::kMerges) {
      place_ = Place::kRest;
    } else {
      open_.pop_back();
    }
    return true;
  }

  bool key(string_t& value) override {
    if (++members_ > kMostMembers && place_ == Place::kRest) fail("too many members");
    if (place_ == Place::kRest && open_.back()->contains(value))
      fail("'" + value + "' is there twice");
    if (value.size() > kLongestToken) fail("a key of more than 64 KiB");
    key_ = value;
    return true;
  }

 protected:
  bool unexpected(const std::string& got) const override {
    const char* const wanted = place_ == Place::kVocabulary ? "model.vocab has token: id"
                               : place_ == Place::kRest
                                   ? "a tokenizer.json is an object"
                                   : "model.merges has pairs of tokens, as strings or lists";
    fail(std::string(wanted) + ", got " + got);
  }

 private:
  enum class Place { kRest, kVocabulary, kMerges, kPair };

  // Whether the value that begins is model.<name>.
  bool is_at(const char* name) const {
    return open_.size() == 2 && key_ == name && file.rest.contains("model") &&
           open_.back() == &file.rest["model"];
  }

  bool number(number_integer_t value) {
    if (place_ != Place::kVocabulary) return add(value);
    if (value < 0) fail("a negative token id");
    file.vocabulary.emplace_back(key_, static_cast<std::uint32_t>(value));
    return true;
  }

  bool merge(const std::string& text) {
    if (text.starts_with("#version")) return true;  // the first line of a merges.txt
    const std::size_t blank = text.find(' ');
    if (blank == std::string::npos || text.find(' ', blank + 1) != std::string::npos)
      fail(format("model.merges[{}]: '{}' is not two tokens with a blank between",
                  file.merges->size(), text));
    file.merges->emplace_back(text.substr(0, blank), text.substr(blank + 1));
    return true;
  }

  template <class Value>
  bool add(Value&& value) {
    if (place_ != Place::kRest || open_.empty()) return unexpected("another value");
    place_for() = std::forward<Value>(value);
    return true;
  }

  bool open(Json value) {
    if (open_.empty()) {
      if (!value.is_object()) return unexpected("a list");
      file.rest = std::move(value);
      open_.push_back(&file.rest);
      return true;
    }
    Json& place = place_for();
    place = std::move(value);
    open_.push_back(&place);
    return true;
  }

  // Where the value that comes goes.
  Json& place_for() {
    if (is_at("merges")) fail("model.merges is no list");
    if (is_at("vocab")) fail("model.vocab is no object");
    Json& parent = *open_.back();
    if (parent.is_object()) return parent[key_];
    parent.push_back(nullptr);
    return parent.back();
  }

  Place place_ = Place::kRest;
  std::vector<Json*> open_;  // objects and arrays that are not closed yet
  std::string key_;
  std::vector<std::string> pair_;
  std::size_t members_ = 0;
};

}  // namespace

TokenizerFile read_tokenizer_file(std::string_view text, const std::string& where) {
  Reader reader(where);
  JsonLimits limits;
  limits.values = 12'000'000;
  reader.read(text, limits);
  if (!reader.file.rest.is_object())
    throw Error(ErrorKind::kData, format("{}: a tokenizer.json is an object", where));
  return std::move(reader.file);
}

}  // namespace moesaic
