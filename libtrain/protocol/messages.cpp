#include "protocol/messages.h"

#include <algorithm>
#include <cmath>

#include "core/plain_name.h"

namespace moesaic::sites {
namespace {

constexpr std::size_t kMostSilos = 100'000;

// Reads the body of one message key by key.
class BodyReader {
 public:
  explicit BodyReader(const Message& message, std::string_view kind) : message_(message) {
    MOESAIC_CHECK(message.kind == kind, ErrorKind::kData, "a message '{}' came, not '{}'",
                  printable(message.kind), kind);
    MOESAIC_CHECK(message.body.is_object(), ErrorKind::kData, "message '{}': no object", kind);
  }

  std::string text(const char* key, std::size_t longest = 200) const {
    const Json& value = at(key);
    refuse_unless(value.is_string(), key, "no text");
    refuse_unless(value.get_ref<const std::string&>().size() <= longest, key, "too long a text");
    return value.get<std::string>();
  }
  int number(const char* key) const {
    const Json& value = at(key);
    refuse_unless(value.is_number_integer(), key, "no whole number");
    const auto got = value.get<std::int64_t>();
    refuse_unless(got >= 0 && got <= 1'000'000, key, "out of range");
    return static_cast<int>(got);
  }
  double seconds(const char* key) const {
    const Json& value = at(key);
    refuse_unless(value.is_number(), key, "no number");
    const double got = value.get<double>();
    refuse_unless(std::isfinite(got) && got >= 0.0, key, "no number of seconds");
    return got;
  }
  Json object(const char* key) const {
    refuse_unless(at(key).is_object(), key, "no object");
    return at(key);
  }
  std::vector<std::string> names(const char* key) const {
    const Json& value = at(key);
    refuse_unless(value.is_array() && value.size() <= kMostSilos, key, "no list of names");
    std::vector<std::string> names;
    for (const Json& item : value) {
      refuse_unless(item.is_string() && is_plain_name(item.get_ref<const std::string&>()), key,
                    "no list of names");
      names.push_back(item.get<std::string>());
    }
    return names;
  }
  Blob blob() const {
    MOESAIC_CHECK(message_.blob.has_value(), ErrorKind::kData,
                  "message '{}' comes without its file", message_.kind);
    return *message_.blob;
  }

 private:
  const Json& at(const char* key) const {
    const auto found = message_.body.find(key);
    MOESAIC_CHECK(found != message_.body.end(), ErrorKind::kData, "message '{}': no key '{}'",
                  message_.kind, key);
    return *found;
  }
  void refuse_unless(bool fine, const char* key, const char* what) const {
    MOESAIC_CHECK(fine, ErrorKind::kData, "message '{}', key '{}': {}", message_.kind, key, what);
  }

  const Message& message_;
};

}  // namespace

Message Join::message() const {
  return {.kind = std::string(kJoinKind),
          .body = {{"protocol", protocol},
                   {"version", version},
                   {"weights_digest", weights_digest},
                   {"tokenizer_digest", tokenizer_digest},
                   {"notes", notes}}};
}

Join Join::of(const Message& message) {
  const BodyReader body(message, kJoinKind);
  return {.protocol = body.number("protocol"),
          .version = body.text("version"),
          .weights_digest = body.text("weights_digest"),
          .tokenizer_digest = body.text("tokenizer_digest"),
          .notes = body.object("notes")};
}

Message RoundOffer::message() const {
  return {.kind = std::string(kOfferKind),
          .round = round,
          .body = {{"silos", silos}, {"deadline_s", deadline_s}, {"rules", rules}},
          .blob = model};
}

RoundOffer RoundOffer::of(const Message& message) {
  const BodyReader body(message, kOfferKind);
  return {.round = message.round,
          .model = body.blob(),
          .silos = body.names("silos"),
          .deadline_s = body.seconds("deadline_s"),
          .rules = body.object("rules")};
}

Message Change::message() const {
  return {
      .kind = std::string(kChangeKind), .round = round, .body = {{"notes", notes}}, .blob = blob};
}

Change Change::of(const Message& message) {
  const BodyReader body(message, kChangeKind);
  return {.round = message.round, .blob = body.blob(), .notes = body.object("notes")};
}

void check_kind_and_round(const std::string& kind, std::int64_t round) {
  const bool fine = !kind.empty() && kind.size() <= kKindBytes &&
                    std::all_of(kind.begin(), kind.end(),
                                [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  MOESAIC_CHECK(fine, ErrorKind::kData, "'{}' is no kind of message", printable(kind, kKindBytes));
  MOESAIC_CHECK(round >= 0, ErrorKind::kData, "message '{}' is of round {}", kind, round);
}

}  // namespace moesaic::sites
