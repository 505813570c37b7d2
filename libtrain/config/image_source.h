// What the keys of a source of images mean (format idx): which images are taken, and what their
// targets are. Torch-free, without reading a pixel, so that a recipe can be checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "config/recipe.h"

namespace moesaic {

/// Whether `text` is a value of the key map: none | modulo N | index.
bool is_label_map(const std::string& text);

/// What cannot be meant of `source`, as far as it says so itself; nothing where it is right.
struct SourceMistake {
  std::string key;  // of the source: "labels"
  std::string message;
};
std::optional<SourceMistake> mistake_of(const SourceOptions& source);

struct ImageChoice {
  std::vector<std::int64_t> items;    // of the file, in its order
  std::vector<std::int64_t> targets;  // of each
  std::vector<std::int64_t> outputs;  // targets that there are, in order
};

/// The images of the source whose labels are among `classes`. Reads the header of the images and
/// all labels. Error(kData), naming the file, where these do not fit each other or the model: other
/// counts, another image size than input_size, a class without an image, a target of num_labels or
/// above.
ImageChoice choose_images(const SourceOptions& source, const arch::Options& arch);

}  // namespace moesaic
