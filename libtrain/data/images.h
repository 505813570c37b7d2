// Images: the images of sources in IDX files as batches of rows of features.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "config/image_source.h"
#include "config/recipe.h"
#include "core/json.h"
#include "data/batch.h"
#include "data/image_files.h"

namespace moesaic {

class Images {
 public:
  struct Options {
    at::ScalarType dtype = at::kFloat;  // of the features: float32 or float64
    bool mask_classes = false;  // a row may have the outputs alone that its source's images have
  };
  struct Place {
    std::size_t source = 0;
    std::int64_t image = 0;  // of those chosen of the source
  };
  struct Row {
    std::size_t source = 0;
    std::int64_t image = 0;
    std::int64_t example = 0;                 // within the step
    std::optional<std::uint32_t> draws = {};  // its place has draws of its own (kOwnDraws)

    Place place() const { return {source, image}; }
  };

  /// Takes of `files`, which reads what it has not yet, and keeps no copy. Errors as choose_images
  /// (config/image_source.h) and ImageFiles::values have.
  Images(const std::vector<SourceOptions>& sources, const arch::Options& arch,
         const Options& options, ImageFiles& files);

  std::vector<std::int64_t> sizes() const;  // chosen images of each source
  std::int64_t size() const;                // of all
  /// Pixels / 255, each row a document of its own.
  Batch batch(std::span<const Row> rows) const;

  /// Where an image's pixels lie: the same for all sources that have the image of the file.
  const std::uint8_t* pixels(const Place& place) const;
  /// Whether the rows of both are the same, with their targets.
  bool are_same(const Place& a, const Place& b) const;
  /// A number that is made of an image's pixels and its target alone.
  std::uint64_t fingerprint(const Place& place) const;

 private:
  struct Source {
    ImageFiles::Values pixels;          // of the whole file
    std::vector<std::int64_t> items;    // of the file: the chosen images
    std::vector<std::int64_t> order;    // of the pixels in a row; empty: the file's
    std::vector<std::int64_t> targets;  // of each chosen image
    at::Tensor allowed_V;               // bool
  };
  Source open(const SourceOptions& source, const arch::Options& arch, ImageFiles& files) const;
  std::int64_t target(const Place& place) const {
    return sources_[place.source].targets[static_cast<std::size_t>(place.image)];
  }
  at::Tensor features(std::span<const Row> rows) const;
  at::Tensor allowed(std::span<const Row> rows) const;

  Options options_;
  std::int64_t width_;  // values of an image
  std::vector<Source> sources_;
};

/// bool [V]: the outputs that the images of a source may have: those that `choice`, made of it, has,
/// or all where the source names no classes.
at::Tensor outputs_of(const SourceOptions& source, const ImageChoice& choice,
                      const arch::Options& arch);

/// For a checkpoint, as BuiltCorpora::description: {"train": [{"path", "digest", "files"}, ...],
/// "valid": [...]}.
Json describe_images(const DataOptions& data, ImageFiles& files);

}  // namespace moesaic
