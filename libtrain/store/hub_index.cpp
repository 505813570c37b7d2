#include "store/hub_index.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "core/json_events.h"
#include "store/safetensors_header.h"

namespace moesaic {
namespace {

constexpr std::size_t kMaxWeights = 500'000;
constexpr std::size_t kMaxShards = 10'000;
constexpr std::size_t kMaxFileName = 255;

bool is_shard_name(const std::string& name) {
  return is_weight_name(name) && name.size() <= kMaxFileName && name.front() != '.' &&
         name.ends_with(".safetensors") && name.find_first_of("/\\") == std::string::npos;
}

class IndexReader : public JsonEvents {
 public:
  explicit IndexReader(const std::string& where) : JsonEvents(where, ErrorKind::kCheckpoint) {}

  bool null() override { return scalar(); }
  bool boolean(bool) override { return scalar(); }
  bool number_integer(number_integer_t) override { return scalar(); }
  bool number_unsigned(number_unsigned_t) override { return scalar(); }
  bool number_float(number_float_t, const string_t&) override { return scalar(); }

  bool string(string_t& value) override {
    if (!in_map()) return scalar();
    if (!is_shard_name(value))
      fail(format("'{}' is not the name of a .safetensors file beside it", value));
    const auto [found, added] = shard_of_.emplace(value, index.shards.size());
    if (added) index.shards.push_back(value);
    if (index.shards.size() > kMaxShards) fail(format("names over {} files", kMaxShards));
    index.weights.emplace_back(name_, found->second);
    return true;
  }

  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override {
    return depth_ == 1 && map_is_next_ ? unexpected("an array") : open();
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    if (depth_ == 1) {
      map_is_next_ = value == "weight_map";
      if (map_is_next_ && has_map_) fail("weight_map is there twice");
      has_map_ = has_map_ || map_is_next_;
    } else if (in_map()) {
      if (!is_weight_name(value)) fail(format("'{}' is no name of a weight", printable(value, 80)));
      if (index.weights.size() == kMaxWeights) fail(format("over {} weights", kMaxWeights));
      name_ = value;
    }
    return true;
  }

  HubIndex finish() {
    if (!has_map_) fail("has no weight_map");
    sort_shards();
    std::sort(index.weights.begin(), index.weights.end());
    const auto twice =
        std::adjacent_find(index.weights.begin(), index.weights.end(),
                           [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice != index.weights.end()) fail(format("weight '{}' is there twice", twice->first));
    return std::move(index);
  }

  HubIndex index;

 protected:
  bool unexpected(const std::string& got) const override {
    fail("weight_map is an object of weights and files, got " + printable(got));
  }

 private:
  bool in_map() const { return depth_ == 2 && map_is_next_; }

  bool scalar() const {
    if (depth_ == 0 || (depth_ == 1 && map_is_next_) || in_map())
      return unexpected("another value");
    return true;
  }

  bool open() {
    if (in_map()) return unexpected("a nested value");
    ++depth_;
    return true;
  }

  bool close() {
    --depth_;
    return true;
  }

  void sort_shards() {
    std::vector<std::size_t> order(index.shards.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return index.shards[a] < index.shards[b]; });
    std::vector<std::size_t> place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
    for (auto& [name, shard] : index.weights) shard = place[shard];
    std::sort(index.shards.begin(), index.shards.end());
  }

  int depth_ = 0;
  bool map_is_next_ = false;  // the value of the last key at the top is, or was, weight_map
  bool has_map_ = false;
  std::string name_;
  std::unordered_map<std::string, std::size_t> shard_of_;
};

}  // namespace

HubIndex parse_hub_index(std::string_view text, const std::string& where) {
  IndexReader reader(where);
  reader.read(text, {.bytes = kMaxHubIndex, .values = kMaxHubIndex});
  return reader.finish();
}

std::string hub_index_text(const HubIndex& index, std::uint64_t total_size) {
  std::string text = format(
      "{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n  \"weight_map\": {{", total_size);
  const char* separator = "\n";
  for (const auto& [name, shard] : index.weights) {
    text += format("{}    {}: {}", separator, Json(name).dump(), Json(index.shards[shard]).dump());
    separator = ",\n";
  }
  return text + "\n  }\n}\n";
}

}  // namespace moesaic
