#include "data/inspect.h"

#include <algorithm>
#include <vector>

#include "data/token_file.h"

namespace moesaic {
namespace {

constexpr std::int64_t kSampleIds = 256;

// JSON is UTF-8: what is not (a character cut in two, other encodings) becomes U+FFFD.
std::string valid_utf8(const std::string& text) {
  const std::string json = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(json).get<std::string>();
}

}  // namespace

Json inspect_token_file(const std::string& path, const Tokenizer* tokenizer) {
  const auto tokens = TokenFile::open(path);
  const auto& header = tokens->header();
  const bool whole = tokens->verify();
  Json result = {{"path", path},
                 {"ids", header.ids},
                 {"documents", header.documents},
                 {"max_id", header.max_id},
                 {"id_bytes", header.id_bytes},
                 {"version", header.version},
                 {"digest", std::string(header.payload_digest, sizeof header.payload_digest)},
                 {"digest_ok", whole}};
  if (tokens->has_target_bits()) result["targets"] = tokens->targets(0, tokens->ids());
  if (tokens->owners() > 0) result["owners"] = header.owners;
  if (!whole) return result;
  std::vector<std::int64_t> first(static_cast<std::size_t>(std::min(kSampleIds, tokens->ids())));
  tokens->copy_ids(0, static_cast<std::int64_t>(first.size()), first.data());
  result["first_ids"] = first;
  if (tokenizer != nullptr) {
    MOESAIC_CHECK(tokens->max_id() < tokenizer->vocab_size(), ErrorKind::kData,
                  "{}: its largest id is {}, and the tokenizer has 0 to {}: another one made it",
                  path, tokens->max_id(), tokenizer->vocab_size() - 1);
    const std::vector<std::uint32_t> ids(first.begin(), first.end());
    result["first_text"] = valid_utf8(tokenizer->decode(ids));
  }
  return result;
}

std::string readable_token_file(const Json& inspected) {
  const auto number = [&](const char* key) { return inspected.at(key).get<std::uint64_t>(); };
  const bool whole = inspected.at("digest_ok").get<bool>();
  std::string text = format(
      "{}\n  documents  {}\n  ids        {} of {} bytes, {:.1f} a document\n  largest id {}\n"
      "  digest     {} {}\n",
      inspected.at("path").get<std::string>(), number("documents"), number("ids"),
      number("id_bytes"),
      static_cast<double>(number("ids")) / static_cast<double>(number("documents")),
      number("max_id"), inspected.at("digest").get<std::string>(),
      whole ? "(matches)" : "DOES NOT MATCH: the file is damaged, build it again");
  if (inspected.contains("targets"))
    text += format("  targets    {} of the ids may be one\n", number("targets"));
  if (inspected.contains("owners")) text += format("  owners     {}\n", number("owners"));
  if (inspected.contains("first_text")) {
    text += format("  begins     {}\n", inspected.at("first_text").dump());
  } else if (inspected.contains("first_ids")) {
    text += format("  begins     {}\n", inspected.at("first_ids").dump());
  }
  return text;
}

}  // namespace moesaic
