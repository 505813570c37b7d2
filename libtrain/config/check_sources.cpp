// Whether the sources of a recipe are what its model reads: tokens, or rows of features.
#include <algorithm>

#include "config/check.h"
#include "config/image_source.h"
#include "config/tasks.h"
#include "core/format.h"

namespace moesaic {
namespace {

constexpr const char* kImages = "idx";

// Keys that only images have, where they are given.
std::vector<std::string> keys_of_images(const SourceOptions& source) {
  const SourceOptions absent;
  std::vector<std::string> keys;
  if (source.labels) keys.emplace_back("labels");
  if (!source.classes.empty()) keys.emplace_back("classes");
  if (source.map != absent.map) keys.emplace_back("map");
  if (source.permutation) keys.emplace_back("permutation");
  return keys;
}

class SourceCheck {
 public:
  SourceCheck(const arch::Options& arch, const Places& places, ProblemList& problems)
      : arch_(arch), places_(places), problems_(problems) {}

  /// `name`: "data.train[0]"
  void look_at(const SourceOptions& source, const std::string& name) const {
    if (problems_.has_error(name)) return;
    const bool images = source.format == kImages;
    if (images != arch_.reads_features()) return refuse(name + ".format", other_model(source));
    if (!images) {
      for (const std::string& key : keys_of_images(source))
        warn(name + "." + key, "has no effect: format is " + source.format + ", not idx");
      return;
    }
    if (const auto mistake = mistake_of(source))
      refuse(name + "." + mistake->key, mistake->message);
  }

 private:
  std::string other_model(const SourceOptions& source) const {
    return arch_.reads_features()
               ? format("is {}, and a model of type {} reads images: idx", source.format,
                        arch_.model_type)
               : format(
                     "is idx, which is images, and a model of type {} reads tokens; those of "
                     "type mlp read images",
                     arch_.model_type);
  }
  void refuse(const std::string& key, const std::string& message) const {
    problems_.error(place_of(places_, key), key, message);
  }
  void warn(const std::string& key, const std::string& message) const {
    problems_.warning(place_of(places_, key), key, message);
  }

  const arch::Options& arch_;
  const Places& places_;
  ProblemList& problems_;
};

}  // namespace

void check_sources(const Recipe& recipe, const arch::Options& options, const Places& places,
                   ProblemList& problems) {
  const SourceCheck check(options, places, problems);
  for (const SourceList& list : source_lists(recipe)) {
    for (std::size_t i = 0; i < list.sources.size(); ++i)
      check.look_at(list.sources[i], format("{}[{}]", list.key, i));
  }
  const char* const mask = "continual.mask_classes";
  if (recipe.continual && recipe.continual->mask_classes && !options.reads_features()) {
    problems.error(
        place_of(places, mask), mask,
        format("needs a classifier (model_type mlp), and the model is a {}", options.model_type));
  }
}

}  // namespace moesaic
