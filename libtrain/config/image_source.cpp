#include "config/image_source.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "config/idx_file.h"
#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::string_view kModulo = "modulo ";

// N of "modulo N".
std::optional<std::int64_t> modulus_of(const std::string& map) {
  if (!map.starts_with(kModulo)) return std::nullopt;
  const char* const end = map.data() + map.size();
  std::int64_t modulus = 0;
  const auto read = std::from_chars(map.data() + kModulo.size(), end, modulus);
  return read.ec == std::errc() && read.ptr == end && modulus > 0 ? std::optional(modulus)
                                                                  : std::nullopt;
}

std::int64_t target_of(const SourceOptions& source, std::int64_t label) {
  if (const auto modulus = modulus_of(source.map)) return label % *modulus;
  if (source.map == "none") return label;
  return std::find(source.classes.begin(), source.classes.end(), label) - source.classes.begin();
}

void require_fit(const IdxFile& images, const IdxFile& labels, const arch::Options& arch) {
  MOESAIC_CHECK(labels.shape().size() == 1, ErrorKind::kData,
                "{} has {} dimensions, and labels have one: are images and labels exchanged?",
                labels.path(), labels.shape().size());
  MOESAIC_CHECK(images.items() == labels.items(), ErrorKind::kData,
                "{} has {} images, and {} has {} labels", images.path(), images.items(),
                labels.path(), labels.items());
  if (images.item_values() == arch.input_size) return;
  const std::vector<std::int64_t> sides(images.shape().begin() + 1, images.shape().end());
  throw Error(ErrorKind::kData,
              format("{}: an image has {} values ({}), and the model's input_size is {}",
                     images.path(), images.item_values(), join(sides, " x "), arch.input_size),
              format("set model.config.input_size: {}", images.item_values()));
}

}  // namespace

bool is_label_map(const std::string& text) {
  return text == "none" || text == "index" || modulus_of(text).has_value();
}

std::optional<SourceMistake> mistake_of(const SourceOptions& source) {
  if (!source.labels) return SourceMistake{"labels", "is missing: the file of the images' labels"};
  if (!is_label_map(source.map)) {
    return SourceMistake{"map",
                         format("expected none, modulo N (N from 1) or index, got {}", source.map)};
  }
  if (source.map == "index" && source.classes.empty())
    return SourceMistake{"map", "index is the position in classes, and there are none"};
  const std::set<std::int64_t> once(source.classes.begin(), source.classes.end());
  if (once.size() != source.classes.size()) return SourceMistake{"classes", "names a class twice"};
  return std::nullopt;
}

ImageChoice choose_images(const SourceOptions& source, const arch::Options& arch) {
  if (const auto mistake = mistake_of(source))
    throw Error(ErrorKind::kRecipe,
                format("{}: {} {}", source.path, mistake->key, mistake->message));
  const IdxFile images(source.path);
  IdxFile label_file(*source.labels);
  require_fit(images, label_file, arch);
  const std::vector<std::uint8_t> labels = label_file.read();
  const std::set<std::int64_t> wanted(source.classes.begin(), source.classes.end());
  std::set<std::int64_t> missing = wanted, outputs;
  ImageChoice choice;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels[i];
    if (!wanted.empty() && !wanted.contains(label)) continue;
    const std::int64_t target = target_of(source, label);
    if (target >= arch.vocab_size) {
      throw Error(ErrorKind::kData,
                  format("{}: label {} (map {}) of image {} becomes output {}, and the model has "
                         "outputs 0 to {} (num_labels {})",
                         label_file.path(), label, source.map, i, target, arch.vocab_size - 1,
                         arch.vocab_size),
                  "raise model.config.num_labels, or choose classes or map otherwise");
    }
    choice.items.push_back(static_cast<std::int64_t>(i));
    choice.targets.push_back(target);
    missing.erase(label);
    outputs.insert(target);
  }
  MOESAIC_CHECK(missing.empty(), ErrorKind::kData, "{}: no image has the class{} {}",
                label_file.path(), missing.size() > 1 ? "es" : "", join(missing, ", "));
  choice.outputs.assign(outputs.begin(), outputs.end());
  return choice;
}

}  // namespace moesaic
