#include "engine/source_digests.h"

#include <set>

#include "core/secure_digest.h"

namespace moesaic {
namespace {

// What knows a source again: its digest, and those of its files.
std::set<std::string> digests_of(const Json& sources) {
  std::set<std::string> digests;
  for (const Json& source : sources) {
    digests.insert(source.at("digest").get<std::string>());
    const Json files = source.value("files", Json::object());
    for (const auto& [name, digest] : files.items()) digests.insert(digest.get<std::string>());
  }
  return digests;
}

}  // namespace

std::string shared_source(const Json& sources, const Json& others) {
  const std::set<std::string> known = digests_of(others);
  for (const Json& source : sources) {
    for (const std::string& digest : digests_of(Json::array({source})))
      if (known.contains(digest)) return source.at("path").get<std::string>();
  }
  return "";
}

std::string digest_of_sources(const Json& sources) {
  std::multiset<std::string> digests;
  for (const Json& source : sources) digests.insert(source.at("digest").get<std::string>());
  std::string text;
  for (const std::string& digest : digests) text += digest + "\n";
  return secure_digest_of(text);
}

}  // namespace moesaic
