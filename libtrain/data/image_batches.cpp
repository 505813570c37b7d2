#include "data/image_batches.h"

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

Images images_of(const Recipe& recipe, const std::vector<SourceOptions>& sources,
                 const arch::Options& arch, ImageFiles& files) {
  return Images(sources, arch,
                {.dtype = recipe.train.precision == "float64" ? at::kDouble : at::kFloat,
                 .mask_classes = recipe.continual && recipe.continual->mask_classes},
                files);
}

}  // namespace

ImageStream::ImageStream(Images images, const std::vector<double>& weights,
                         const StreamOptions& options)
    : images_(std::move(images)),
      options_(options),
      mixture_(images_.sizes(), weights, {.seed = options.seed, .shuffle = options.shuffle}) {
  MOESAIC_ASSERT(options.micro_batch_size >= 1 &&
                 options.global_batch_size % options.micro_batch_size == 0);
}

StepSize ImageStream::size(std::int64_t /*step*/) const {
  const std::int64_t images = options_.global_batch_size;
  return {.target_tokens = images,
          .input_tokens = images,
          .micro_batches = images / options_.micro_batch_size,
          .documents = images};
}

Batch ImageStream::micro_batch(std::int64_t step, std::int64_t index) const {
  const std::int64_t micro = options_.micro_batch_size, global = options_.global_batch_size;
  MOESAIC_ASSERT(step >= 0 && index >= 0 && index < global / micro);
  std::vector<Images::Row> rows;
  for (std::int64_t i = index * micro; i < (index + 1) * micro; ++i) {
    const Draw drawn = mixture_.draw(step * global + i);
    rows.push_back({.source = drawn.source, .image = drawn.sequence, .example = i});
  }
  return images_.batch(rows);
}

ImageEval::ImageEval(Images images, std::int64_t micro_batch_size)
    : images_(std::move(images)), micro_batch_size_(micro_batch_size) {
  MOESAIC_ASSERT(micro_batch_size >= 1);
}

std::int64_t ImageEval::count() const {
  return (images_.size() + micro_batch_size_ - 1) / micro_batch_size_;
}

Batch ImageEval::micro_batch(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index < count());
  const std::int64_t first = index * micro_batch_size_;
  const std::int64_t last = std::min(first + micro_batch_size_, images_.size());
  std::vector<Images::Row> rows;
  std::int64_t begin = 0;  // of the source
  const std::vector<std::int64_t> sizes = images_.sizes();
  for (std::size_t source = 0; source < sizes.size(); ++source) {
    const std::int64_t end = begin + sizes[source];
    for (std::int64_t i = std::max(first, begin); i < std::min(last, end); ++i)
      rows.push_back({.source = source, .image = i - begin, .example = i});
    begin = end;
  }
  return images_.batch(rows);
}

ImageStream open_train_images(const Recipe& recipe, const arch::Options& arch,
                              const StreamOptions& stream, ImageFiles& files) {
  return ImageStream(images_of(recipe, recipe.data.train, arch, files),
                     weights_of(recipe.data.train), stream);
}

Images open_unit_images(const Recipe& recipe, const arch::Options& arch, ImageFiles& files) {
  return images_of(recipe, recipe.data.train, arch, files);
}

ImageEval open_valid_images(const Recipe& recipe, const arch::Options& arch, ImageFiles& files) {
  return ImageEval(images_of(recipe, recipe.data.valid, arch, files),
                   recipe.train.micro_batch_size);
}

}  // namespace moesaic
