#include "store/manifest.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/digest.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr std::string_view kLineStart = "\"digest\": \"";
constexpr std::string_view kLineEnd = "\"}\n";
constexpr std::size_t kHexDigits = 32;
constexpr std::size_t kLineBytes = kLineStart.size() + kHexDigits + kLineEnd.size();
constexpr std::size_t kMaxBytes = 256U << 20U;
constexpr std::size_t kMaxFiles = 1000;
constexpr std::size_t kMaxDatasets = 1'000'000;

bool is_digest(const Json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.size() == kHexDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool is_count(const Json& value) {
  return value.is_number_integer() && value.get<std::int64_t>() >= 0;
}

// A relative path that stays inside the folder.
bool is_inside(const std::string& name) {
  const std::filesystem::path path(name);
  return !name.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(),
                      [](const auto& part) { return part == ".." || part == "."; });
}

void check_structure(const Json& manifest, const std::string& where) {
  const auto require = [&where](bool good, const std::string& what) {
    MOESAIC_CHECK(good, ErrorKind::kCheckpoint, "{}: {}", where, what);
  };
  require(manifest.is_object(), "is not a JSON object");
  require(manifest.contains("step") && is_count(manifest["step"]), "'step' is not a count");
  require(manifest.contains("files") && manifest["files"].is_object(), "'files' is not an object");
  require(manifest["files"].size() <= kMaxFiles, "'files' has too many entries");
  for (const auto& [name, entry] : manifest["files"].items()) {
    require(is_inside(name), format("the file name '{}' leaves the folder", name));
    require(is_file_entry(entry), format("the entry of '{}' has no size and digest", name));
  }
  require(manifest.contains("datasets") && manifest["datasets"].is_object(),
          "'datasets' is not an object");
  for (const auto& [name, digests] : manifest["datasets"].items()) {
    require(digests.is_array() && std::all_of(digests.begin(), digests.end(), is_digest),
            format("the digests of dataset '{}' are no list of digests", name));
  }
}

}  // namespace

bool is_file_entry(const Json& entry) {
  return entry.is_object() && entry.contains("size") && is_count(entry["size"]) &&
         entry.contains("xxh3_128") && is_digest(entry["xxh3_128"]);
}

std::string seal_manifest(const Json& content) {
  std::string text = json_text(content, 1);
  MOESAIC_ASSERT(content.is_object() && !content.empty() && text.ends_with("\n}"));
  text.resize(text.size() - 2);
  text += ",\n";
  return text + std::string(kLineStart) + digest_of(text) + std::string(kLineEnd);
}

Json unseal_manifest(std::string_view text, const std::string& where) {
  const bool sealed = text.size() > kLineBytes && text.ends_with(kLineEnd) &&
                      text.substr(text.size() - kLineBytes).starts_with(kLineStart);
  MOESAIC_CHECK(sealed, ErrorKind::kCheckpoint, "{} is cut off: its last line is no digest", where);
  const std::string_view body = text.substr(0, text.size() - kLineBytes);
  const std::string_view digest = text.substr(body.size() + kLineStart.size(), kHexDigits);
  MOESAIC_CHECK(digest_of(body) == digest, ErrorKind::kCheckpoint,
                "{} is damaged: its digest is {}, not {}", where, digest_of(body), digest);
  Json manifest = parse_json(text, where, ErrorKind::kCheckpoint,
                             {.bytes = kMaxBytes, .values = kMaxBytes, .members = kMaxDatasets});
  check_structure(manifest, where);
  return manifest;
}

std::string read_manifest(const std::string& folder) {
  const std::string path = folder + "/" + kManifestName;
  MOESAIC_CHECK(path_exists(path, ErrorKind::kCheckpoint), ErrorKind::kCheckpoint,
                "{} has no {}: it is no whole checkpoint", folder, kManifestName);
  return read_file(path, ErrorKind::kCheckpoint, kMaxBytes);
}

Json describe_file(const std::string& path, const std::function<void()>& alive) {
  return {{"size", file_size(path, ErrorKind::kCheckpoint)},
          {"xxh3_128", digest_of_file(path, alive)}};
}

void check_file(const std::string& folder, const std::string& name, const Json& entry,
                const std::function<void()>& alive) {
  const std::string path = folder + "/" + name;
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  MOESAIC_CHECK(!code, ErrorKind::kCheckpoint, "{} cannot be read: {}", path, code.message());
  MOESAIC_CHECK(size == entry["size"].get<std::uint64_t>(), ErrorKind::kCheckpoint,
                "{} is damaged: it has {} bytes, not {}", path, size,
                entry["size"].get<std::uint64_t>());
  const std::string digest = digest_of_file(path, alive);
  MOESAIC_CHECK(digest == entry["xxh3_128"].get_ref<const std::string&>(), ErrorKind::kCheckpoint,
                "{} is damaged: its digest is {}, not {}", path, digest,
                entry["xxh3_128"].get<std::string>());
}

Json to_json(const DatasetDigests& digests) {
  Json json = Json::object();
  for (const auto& [name, blocks] : digests) json.emplace(name, blocks);
  return json;
}

DatasetDigests dataset_digests(const Json& manifest) {
  DatasetDigests digests;
  for (const auto& [name, blocks] : manifest.at("datasets").items()) {
    digests.emplace(name, blocks.get<std::vector<std::string>>());
  }
  return digests;
}

}  // namespace moesaic
