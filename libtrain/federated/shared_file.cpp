#include "federated/shared_file.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include "core/error.h"
#include "federated/doubles.h"
#include "store/agreement.h"
#include "store/finite.h"

namespace moesaic {
namespace {

constexpr std::string_view kControl = "control/";
constexpr std::int64_t kCheckedAtOnce = 1 << 20;

std::vector<SafetensorsSpec> specs_of(const ParameterSet& parameters, const RoundModel& model,
                                      const SharedValues& values,
                                      const aggregate::ServerState& server) {
  std::vector<SafetensorsSpec> specs;
  const std::size_t count = values.packed.empty() ? values.tensors.size() : values.packed.size();
  for (std::size_t place = 0; place < count; ++place) {
    const Parameter& parameter = parameters[model.at(place).index];
    if (values.packed.empty()) {
      specs.push_back({parameter.name, values.tensors.at(place).scalar_type(), parameter.shape});
    } else {
      const auto bytes = static_cast<std::int64_t>(values.packed.at(place).size());
      specs.push_back({parameter.name, at::kByte, {bytes}});
    }
  }
  for (const auto& [name, vector] : server)
    specs.push_back({name, at::kDouble, {static_cast<std::int64_t>(vector.size())}});
  return specs;
}

/// The whole of a parameter of which this rank has a part. Collective over the slot.
at::Tensor whole_of(const RankContext& slot, const RoundModel::Entry& entry,
                    const at::Tensor& part) {
  const at::Tensor host = part.detach().cpu().contiguous();
  return entry.scope == Scope::kExpert ? slot.expert.all_gather(host, "shared file") : host;
}

at::Tensor tensor_from(std::span<const double> values) {
  const at::Tensor tensor = at::empty({std::ssize(values)}, at::kDouble);
  std::copy(values.begin(), values.end(), doubles_of(tensor).begin());
  return tensor;
}

at::Tensor tensor_from(const std::vector<std::uint8_t>& bytes) {
  const at::Tensor tensor = at::empty({std::ssize(bytes)}, at::kByte);
  std::copy(bytes.begin(), bytes.end(), tensor.mutable_data_ptr<std::uint8_t>());
  return tensor;
}

}  // namespace

aggregate::ServerState controls_of(const aggregate::ServerState& server) {
  aggregate::ServerState controls;
  for (const auto& [name, values] : server)
    if (name.starts_with(kControl)) controls[name] = values;
  return controls;
}

// The order of the file is a function of names and types, so that all ranks know it.
void write_shared_file(const std::string& path, const RankContext& slot,
                       const ParameterSet& parameters, const RoundModel& model,
                       const SharedValues& values, const aggregate::ServerState& server,
                       Sync sync) {
  std::map<std::string, std::size_t> place_of;
  for (std::size_t i = 0; i < model.shared().size() + model.base().size(); ++i)
    place_of[model.at(i).name] = i;
  const auto order = SafetensorsWriter::in_order(specs_of(parameters, model, values, server));
  std::optional<SafetensorsWriter> writer;
  const auto chief = [&](const std::function<void()>& work) {
    agreed(slot.world, "shared file", [&] {
      if (slot.is_chief()) work();
    });
  };
  chief([&] { writer.emplace(path, order); });
  for (const SafetensorsSpec& spec : order) {
    const auto place = place_of.find(spec.name);
    at::Tensor tensor;
    if (place == place_of.end()) {
      tensor = tensor_from(std::span<const double>(server.at(spec.name)));
    } else if (!values.packed.empty()) {
      tensor = tensor_from(values.packed[place->second]);
    } else {
      tensor = whole_of(slot, model.at(place->second), values.tensors.at(place->second));
    }
    chief([&] { writer->write(tensor); });
  }
  chief([&] { writer->finish(sync); });
}

SharedFile::SharedFile(const Options& options, const ParameterSet& parameters,
                       const RoundModel& model)
    : options_(options), parameters_(parameters), model_(model), file_(options.path) {
  const auto& tensors = file_.header().tensors;
  std::map<std::string, std::size_t> number;
  std::size_t controls = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (options.is_model && tensors[i].name.starts_with(kControl)) ++controls;
    number[tensors[i].name] = i;
  }
  const std::size_t count = model.shared().size() + (options.is_model ? model.base().size() : 0);
  for (std::size_t place = 0; place < count; ++place) {
    const RoundModel::Entry& entry = model.at(place);
    const auto found = number.find(entry.name);
    if (found == number.end()) fail(format("has no {}", entry.name));
    check(tensors[found->second], parameters[entry.index]);
    number_of_.push_back(found->second);
  }
  if (tensors.size() == number_of_.size() + controls) return;
  for (std::size_t place = 0; place < count; ++place) number.erase(model.at(place).name);
  if (options.is_model)
    std::erase_if(number, [](const auto& one) { return one.first.starts_with(kControl); });
  fail(format("has {}, which is no parameter that the silos share", number.begin()->first));
}

void SharedFile::check(const SafetensorsTensor& tensor, const Parameter& parameter) const {
  const bool packed = options_.words > 0 || options_.way.type != "none";
  const char* const type = tensor.dtype->name;
  if (packed) {
    // No way of packing takes more than 16 bytes a value and a few for each block.
    const auto most = 64 + 16 * static_cast<std::uint64_t>(parameter.numel());
    if (std::string_view(type) != "U8" || tensor.shape.size() != 1)
      fail(format("has {} as {} and not as packed bytes", tensor.name, type));
    const std::uint64_t words = 4 * options_.words * static_cast<std::uint64_t>(parameter.numel());
    const std::uint64_t bytes = tensor.end - tensor.begin;
    if (options_.words > 0 ? bytes != words : bytes > most)
      fail(format("has {} bytes for {} of {} values", bytes, tensor.name, parameter.numel()));
    return;
  }
  if (tensor.shape != parameter.shape)
    fail(format("has {} of shape [{}], the model has [{}]", tensor.name, join(tensor.shape, ", "),
                join(parameter.shape, ", ")));
  if (weight_dtype(*tensor.dtype) != parameter.tensor.scalar_type())
    fail(format("has {} as {}, the model as {}", tensor.name, type,
                c10::toString(parameter.tensor.scalar_type())));
}

void SharedFile::fail(const std::string& what) const {
  throw Error(ErrorKind::kData, format("{} {}", options_.who, what));
}

const SafetensorsTensor& SharedFile::tensor_of(std::size_t place) const {
  return file_.header().tensors[number_of_.at(place)];
}

const at::Tensor& SharedFile::unpacked(std::size_t place) const {
  if (unpacked_.defined() && unpacked_place_ == place) return unpacked_;
  const std::string_view bytes = file_.bytes(tensor_of(place));
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto size = static_cast<std::size_t>(parameters_[model_.at(place).index].numel());
  unpacked_ = tensor_from(aggregate::decompressed(options_.way, {first, bytes.size()}, size));
  unpacked_place_ = place;
  return unpacked_;
}

void SharedFile::read(std::size_t place, std::int64_t first, const at::Tensor& into) const {
  if (options_.way.type == "none") return file_.read(tensor_of(place), first, into);
  at::Tensor(into).copy_(unpacked(place).narrow(0, first, into.numel()).view(into.sizes()));
}

// In the type of the file: what is finite there is finite in float64, too.
void SharedFile::require_finite() const {
  for (std::size_t place = 0; place < number_of_.size(); ++place) {
    const RoundModel::Entry& entry = model_.at(place);
    const at::ScalarType type =
        options_.way.type == "none" ? entry.tensor.scalar_type() : at::kDouble;
    const std::int64_t all = parameters_[entry.index].numel();
    for (std::int64_t first = 0; first < all; first += kCheckedAtOnce) {
      const at::Tensor part = at::empty({std::min(kCheckedAtOnce, all - first)}, type);
      read(place, first, part);
      if (!all_finite(part)) fail(format("of {} is not finite", entry.name));
    }
  }
}

void SharedFile::give_to(const RoundModel& model) const {
  for (std::size_t place = 0; place < number_of_.size(); ++place) {
    const RoundModel::Entry& entry = model.at(place);
    const Parameter& parameter = parameters_[entry.index];
    const bool in_place = entry.tensor.is_cpu() && entry.tensor.is_contiguous();
    const at::Tensor host =
        in_place ? entry.tensor : at::empty(entry.tensor.sizes(), entry.tensor.scalar_type());
    const std::int64_t row = parameter.shape.empty() || parameter.shape[0] == 0
                                 ? 0
                                 : parameter.numel() / parameter.shape[0];
    read(place, parameter.offset * row, host);
    if (!in_place) at::Tensor(entry.tensor).copy_(host);
  }
}

aggregate::ServerState SharedFile::controls() const {
  aggregate::ServerState controls;
  for (const SafetensorsTensor& tensor : file_.header().tensors) {
    if (!tensor.name.starts_with(kControl)) continue;
    if (std::string_view(tensor.dtype->name) != "F64" || tensor.shape.size() != 1)
      fail(format("has {} as {}, which is F64 of one dimension", tensor.name, tensor.dtype->name));
    const at::Tensor values = at::empty(tensor.shape, at::kDouble);
    file_.read(tensor, 0, values);
    const std::span<const double> all = doubles_of(values);
    controls[tensor.name] = {all.begin(), all.end()};
  }
  return controls;
}

}  // namespace moesaic
