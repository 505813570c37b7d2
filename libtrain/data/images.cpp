#include "data/images.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/digest.h"
#include "core/error.h"
#include "core/random.h"
#include "data/pixel_order.h"

namespace moesaic {
namespace {

constexpr int kWhite = 255;

// Place i of a row has the pixel order[i], or pixel i where there is no order.
template <class T>
void scale(const std::uint8_t* pixels, const std::vector<std::int64_t>& order, std::int64_t count,
           T* features) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t pixel = order.empty() ? i : order[static_cast<std::size_t>(i)];
    features[i] = static_cast<T>(pixels[pixel]) / kWhite;
  }
}

Json description_of(const SourceOptions& source, ImageFiles& known) {
  Json files = Json::object();
  Digest all;
  for (const std::string& path : {source.path, source.labels.value_or("")}) {
    const std::string& digest = known.digest(path);
    files[path] = digest;
    all.update(digest);
  }
  return {{"path", source.path}, {"digest", all.hex()}, {"files", files}};
}

}  // namespace

Images::Images(const std::vector<SourceOptions>& sources, const arch::Options& arch,
               const Options& options, ImageFiles& files)
    : options_(options), width_(arch.input_size) {
  for (const SourceOptions& source : sources) sources_.push_back(open(source, arch, files));
}

Images::Source Images::open(const SourceOptions& source, const arch::Options& arch,
                            ImageFiles& files) const {
  ImageChoice choice = choose_images(source, arch);
  Source opened{.pixels = files.values(source.path),
                .items = std::move(choice.items),
                .order = {},
                .targets = std::move(choice.targets),
                .allowed_V = outputs_of(source, choice, arch)};
  MOESAIC_CHECK(
      opened.items.empty() || (opened.items.back() + 1) * width_ <= std::ssize(*opened.pixels),
      ErrorKind::kData, "{} has changed while it was read", source.path);
  if (source.permutation)
    opened.order = pixel_order(static_cast<std::uint32_t>(*source.permutation), width_);
  return opened;
}

std::vector<std::int64_t> Images::sizes() const {
  std::vector<std::int64_t> sizes;
  for (const Source& source : sources_) sizes.push_back(std::ssize(source.targets));
  return sizes;
}

std::int64_t Images::size() const {
  const std::vector<std::int64_t> all = sizes();
  return std::accumulate(all.begin(), all.end(), std::int64_t{0});
}

const std::uint8_t* Images::pixels(const Place& place) const {
  const Source& source = sources_[place.source];
  return source.pixels->data() + source.items[static_cast<std::size_t>(place.image)] * width_;
}

bool Images::are_same(const Place& a, const Place& b) const {
  const Source &one = sources_[a.source], &other = sources_[b.source];
  return pixels(a) == pixels(b) && target(a) == target(b) && one.order == other.order &&
         (!options_.mask_classes || one.allowed_V.equal(other.allowed_V));
}

std::uint64_t Images::fingerprint(const Place& place) const {
  std::string content(reinterpret_cast<const char*>(pixels(place)),
                      static_cast<std::size_t>(width_));
  content += format(" {}", target(place));
  return hash_name(content);
}

at::Tensor Images::features(std::span<const Row> rows) const {
  at::Tensor features_TF = at::empty({std::ssize(rows), width_}, options_.dtype);
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const Source& source = sources_[rows[t].source];
    const std::uint8_t* const values = pixels(rows[t].place());
    const std::int64_t first = static_cast<std::int64_t>(t) * width_;
    if (options_.dtype == at::kDouble)
      scale(values, source.order, width_, features_TF.mutable_data_ptr<double>() + first);
    else
      scale(values, source.order, width_, features_TF.mutable_data_ptr<float>() + first);
  }
  return features_TF;
}

at::Tensor Images::allowed(std::span<const Row> rows) const {
  std::vector<at::Tensor> allowed;
  for (const Row& row : rows) allowed.push_back(sources_[row.source].allowed_V);
  return at::stack(allowed);
}

Batch Images::batch(std::span<const Row> rows) const {
  const std::size_t count = rows.size();
  std::vector<std::int64_t> targets(count), examples(count), places(count), offsets(count + 1);
  for (std::size_t t = 0; t < count; ++t) {
    targets[t] = target(rows[t].place());
    examples[t] = rows[t].example;
    places[t] = rows[t].example << kPlaceBits;
    if (rows[t].draws) places[t] += kOwnDraws + *rows[t].draws;
  }
  std::iota(offsets.begin(), offsets.end(), 0);
  Batch batch{.ids_T = {},
              .targets_T = index_tensor(targets),
              .positions_T = at::zeros({std::ssize(rows)}, at::kLong),
              .example_id_T = index_tensor(examples),
              .place_T = index_tensor(places),
              .attention_offsets = offsets,
              .document_offsets = offsets,
              .features_TF = features(rows)};
  if (options_.mask_classes && count > 0) batch.allowed_TV = allowed(rows);
  return batch;
}

at::Tensor outputs_of(const SourceOptions& source, const ImageChoice& choice,
                      const arch::Options& arch) {
  if (source.classes.empty()) return at::ones({arch.vocab_size}, at::kBool);
  at::Tensor allowed_V = at::zeros({arch.vocab_size}, at::kBool);
  for (const std::int64_t output : choice.outputs) allowed_V.select(0, output).fill_(true);
  return allowed_V;
}

Json describe_images(const DataOptions& data, ImageFiles& files) {
  Json description;
  const auto describe = [&](const char* key, const std::vector<SourceOptions>& sources) {
    description[key] = Json::array();
    for (const SourceOptions& source : sources)
      description[key].push_back(description_of(source, files));
  };
  describe("train", data.train);
  describe("valid", data.valid);
  return description;
}

}  // namespace moesaic
