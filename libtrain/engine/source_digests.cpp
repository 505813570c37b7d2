#include "engine/source_digests.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/digest.h"
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

// Of a key of a description, "train" or "continual.tasks[1].replay": "" or "continual.tasks[1]".
std::string task_of(const std::string& key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

bool is_training(const std::string& key) {
  const std::string use = key.substr(key.rfind('.') + 1);  // of no dot: the whole
  return use == "train" || use == "replay";
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

std::string repeated_source(const Json& sources) {
  const std::string empty = digest_of("");
  std::set<std::string> known;
  for (const Json& source : sources) {
    const Json files = source.value("files", Json::object());
    std::vector<std::string> own;
    for (const auto& [name, digest] : files.items()) own.push_back(digest.get<std::string>());
    if (own.empty()) own.push_back(source.at("digest").get<std::string>());
    for (const std::string& digest : own) {
      if (digest != empty && !known.insert(digest).second)
        return source.at("path").get<std::string>();
    }
  }
  return "";
}

Json training_sources(const Json& description) {
  Json all = Json::array();
  for (const auto& [key, sources] : description.items()) {
    if (!is_training(key)) continue;
    for (const Json& source : sources) all.push_back(source);
  }
  return all;
}

Json without_training(const Json& description) {
  const Json training = training_sources(description);
  Json left = Json::object();
  for (const auto& [key, sources] : description.items()) {
    if (!is_training(key) && shared_source(sources, training).empty()) left[key] = sources;
  }
  return left;
}

std::string digest_of_training(const Json& description) {
  std::map<std::string, std::multiset<std::string>> of_tasks;
  for (const auto& [key, sources] : description.items()) {
    if (!is_training(key)) continue;
    for (const Json& source : sources)
      of_tasks[task_of(key)].insert(source.at("digest").get<std::string>());
  }
  std::multiset<std::string> digests;
  for (const auto& [task, own] : of_tasks) {
    const std::multiset<std::string> before = std::exchange(digests, {});
    std::set_union(before.begin(), before.end(), own.begin(), own.end(),
                   std::inserter(digests, digests.end()));
  }
  std::string text;
  for (const std::string& digest : digests) text += digest + "\n";
  return secure_digest_of(text);
}

}  // namespace moesaic
