// The steps of a run on images, by random access as those of a TokenStream, and its validation.
#pragma once

#include <cstdint>
#include <vector>

#include "data/eval_data.h"
#include "data/images.h"
#include "data/mixture.h"
#include "data/step_data.h"
#include "data/stream_options.h"

namespace moesaic {

/// Each image is an example, a document and a target. The order is that of Mixture: each epoch of a
/// source has each of its images once.
class ImageStream : public StepData {
 public:
  /// `weights`: the sources' shares of the images drawn.
  ImageStream(Images images, const std::vector<double>& weights, const StreamOptions& options);

  StepSize size(std::int64_t step) const override;
  /// An example's id is its position within the global batch.
  Batch micro_batch(std::int64_t step, std::int64_t index) const override;

  std::int64_t images() const { return images_.size(); }

 private:
  Images images_;
  StreamOptions options_;
  Mixture mixture_;
};

/// All images in order, source after source.
class ImageEval : public EvalData {
 public:
  ImageEval(Images images, std::int64_t micro_batch_size);

  std::int64_t count() const override;
  Batch micro_batch(std::int64_t index) const override;
  std::int64_t target_tokens() const override { return images_.size(); }
  std::int64_t sequences() const override { return images_.size(); }
  bool has_labels() const override { return true; }

 private:
  Images images_;
  std::int64_t micro_batch_size_;
};

/// Those of a recipe, of `files`.
ImageStream open_train_images(const Recipe& recipe, const arch::Options& arch,
                              const StreamOptions& stream, ImageFiles& files);
Images open_unit_images(const Recipe& recipe, const arch::Options& arch, ImageFiles& files);
ImageEval open_valid_images(const Recipe& recipe, const arch::Options& arch, ImageFiles& files);

}  // namespace moesaic
