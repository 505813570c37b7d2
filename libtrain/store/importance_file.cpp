#include "store/importance_file.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"
#include "store/adapter_checkpoint.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/dataset_writer.h"
#include "store/differences.h"
#include "store/finite.h"
#include "store/hdf5.h"
#include "store/model_source.h"

namespace moesaic {
namespace {

constexpr const char* kLabels = "labels";
constexpr const char* kExamples = "examples";
constexpr const char* kModelDigest = "model_digest";

// The two values of a parameter and what they are called.
struct ImportancePart {
  const char* group;
  at::Tensor ParameterImportance::*value;
};
constexpr ImportancePart kImportanceParts[] = {{"fisher", &ParameterImportance::fisher},
                                               {"anchor", &ParameterImportance::anchor}};

std::string importance_name(const ImportancePart& part, const Parameter& parameter) {
  return format("{}/{}", part.group, parameter.name);
}

std::vector<DatasetPart> parts_of(const RankContext& context, const ParameterSet& parameters,
                                  const Importance& importance) {
  std::vector<DatasetPart> parts;
  for (const ImportancePart& part : kImportanceParts) {
    for (const Parameter& parameter : parameters) {
      const at::Tensor& value = importance[static_cast<std::size_t>(parameter.index)].*part.value;
      if (!value.defined()) continue;
      const StateEntry entry = entry_like(parameter, part.group, value.cpu());
      parts.push_back(part_of(context, entry, entry.name, value.scalar_type()));
    }
  }
  return parts;
}

void require_model(const std::string& path, const std::string& digest,
                   const std::optional<std::string>& expected) {
  if (!expected || *expected == digest) return;
  throw Error(ErrorKind::kRecipe,
              format("the importances in {} are of another model (digest {}) than the one that the "
                     "run starts from ({})",
                     path, digest, *expected),
              "set model.from to the model that they were made of, or make them anew with moesaic "
              "importance; of several files, that of the newest model comes last");
}

// The attributes, and what the file holds: whole pairs of these parameters, and nothing else.
ImportanceNotes checked_notes(const Hdf5File& file) {
  ImportanceNotes notes{.labels = file.attribute(kLabels),
                        .examples = file.number_attribute(kExamples).value_or(0),
                        .model_digest = file.attribute(kModelDigest)};
  if (!notes.labels.empty() && !notes.model_digest.empty() && notes.examples > 0) return notes;
  throw Error(ErrorKind::kCheckpoint,
              format("{} is no file of importances: it has not the attributes {}, {} and {}",
                     file.path(), kLabels, kExamples, kModelDigest),
              "name a file that moesaic importance has written");
}

// A chunk's checksum is right wherever it is read from, and that of zeros is zero: a damaged table
// may give a data set what are another's values.
void require_apart(const Hdf5File& file, std::vector<StoredChunk> chunks) {
  std::sort(chunks.begin(), chunks.end(),
            [](const StoredChunk& a, const StoredChunk& b) { return a.place < b.place; });
  for (std::size_t i = 1; i < chunks.size(); ++i) {
    MOESAIC_CHECK(chunks[i].place - chunks[i - 1].place >= chunks[i - 1].bytes,
                  ErrorKind::kCheckpoint,
                  "{} is damaged: its bytes at {} are values of two places of the model",
                  file.path(), chunks[i].place);
  }
}

void check_datasets(const Hdf5File& file, const ParameterSet& parameters) {
  std::set<std::string> names;
  for (std::string& name : file.dataset_names()) names.insert(std::move(name));
  std::vector<StoredChunk> chunks;
  Differences differences("the file");
  for (const Parameter& parameter : parameters) {
    std::int64_t found = 0;
    for (const ImportancePart& part : kImportanceParts) {
      const std::string name = importance_name(part, parameter);
      if (names.erase(name) == 0) continue;
      ++found;
      const Hdf5Dataset dataset = file.dataset(name);
      for (const StoredChunk& chunk : dataset.stored_chunks()) chunks.push_back(chunk);
      const Hdf5Spec& spec = dataset.spec();
      if (spec.shape != parameter.shape || !at::isFloatingType(spec.dtype)) {
        differences.differs(format("{} is {} [{}] (here [{}])", name, dtype_name(spec.dtype),
                                   join(spec.shape, ", "), join(parameter.shape, ", ")));
      }
    }
    if (found == 1) differences.missing(parameter.name);
  }
  for (const std::string& name : names) differences.unexpected(name);
  differences.require_none(format("the importances in {} do not fit this model", file.path()),
                           "make them of this model with moesaic importance");
  require_apart(file, std::move(chunks));
}

// This rank's rows, as in the file.
at::Tensor read_value(const Hdf5File& file, const std::string& name, const Parameter& parameter) {
  const Hdf5Dataset dataset = file.dataset(name);
  const at::Tensor values = at::empty(parameter.tensor.sizes(), dataset.spec().dtype);
  if (values.numel() > 0)
    dataset.read_rows(parameter.offset, values.size(0), values.mutable_data_ptr());
  return values;
}

Importance read_values(const Hdf5File& file, const ParameterSet& parameters) {
  std::set<std::string> names;
  for (std::string& name : file.dataset_names()) names.insert(std::move(name));
  Importance importance(parameters.size());
  for (const Parameter& parameter : parameters) {
    for (const ImportancePart& part : kImportanceParts) {
      const std::string name = importance_name(part, parameter);
      if (!names.contains(name)) continue;
      importance[static_cast<std::size_t>(parameter.index)].*part.value =
          read_value(file, name, parameter).to(parameters.master_options());
    }
  }
  return importance;
}

// -> whether some importance is above zero.
bool check_values(const std::string& path, const ParameterSet& parameters,
                  const Importance& importance) {
  bool any = false;
  for (const Parameter& parameter : parameters) {
    const auto& [fisher, anchor] = importance[static_cast<std::size_t>(parameter.index)];
    for (const at::Tensor& value : {fisher, anchor}) {
      MOESAIC_CHECK(!value.defined() || all_finite(value), ErrorKind::kCheckpoint,
                    "{}: NaN or infinity among the importances or anchors of {}", path,
                    parameter.name);
    }
    if (!fisher.defined() || fisher.numel() == 0) continue;
    MOESAIC_CHECK(fisher.min().item<double>() >= 0, ErrorKind::kCheckpoint,
                  "{}: an importance of {} is negative", path, parameter.name);
    any = any || fisher.max().item<double>() > 0;
  }
  return any;
}

void require_importances(const RankContext& context, const std::string& path,
                         const ParameterSet& parameters, const Importance& importance) {
  bool any = false;
  agreed(context.world, "importances: values",
         [&] { any = check_values(path, parameters, importance); });
  if (context.world.all_reduce(any ? 1.0 : 0.0, ReduceOp::kMax, "importances: any") > 0) return;
  throw Error(ErrorKind::kCheckpoint, format("{}: all importances are zero", path),
              "make them of data with targets, by a model whose loss is not zero");
}

bool holds_importances(const std::string& path) {
  try {
    checked_notes(Hdf5File::open(path));
    return true;
  } catch (const Error&) {
    return false;
  }
}

void describe(const std::string& path, const ImportanceNotes& notes) {
  Hdf5File file = Hdf5File::open_to_describe(path);
  file.set_attribute(kLabels, notes.labels);
  file.set_attribute(kExamples, notes.examples);
  file.set_attribute(kModelDigest, notes.model_digest);
  file.close();
}

}  // namespace

void require_place_for_importances(const RankContext& context, const std::string& path) {
  agreed(context.world, "importances: place", [&] {
    if (!context.is_chief()) return;
    const std::string folder = std::filesystem::path(absolute_path(path)).parent_path();
    MOESAIC_CHECK(is_folder(folder, ErrorKind::kCheckpoint), ErrorKind::kCheckpoint,
                  "there is no folder {} for {}", folder, path);
    MOESAIC_CHECK(!is_folder(path, ErrorKind::kCheckpoint), ErrorKind::kCheckpoint,
                  "{} is a folder, not a file", path);
    std::error_code absent;
    const bool filled = std::filesystem::file_size(path, absent) > 0 && !absent;
    if (!filled || holds_importances(path)) return;
    throw Error(ErrorKind::kCheckpoint,
                format("{} is there and holds no importances: it is not replaced", path),
                "name another file, or remove this one");
  });
}

void write_importances(const RankContext& context, const std::string& path,
                       const ParameterSet& parameters, const Importance& importance,
                       const ImportanceNotes& notes) {
  require_place_for_importances(context, path);
  const std::string temporary = path + ".tmp";
  std::vector<DatasetPart> parts;
  agreed(context.world, "importances: plan",
         [&] { parts = parts_of(context, parameters, importance); });
  check_parts(context, parts);
  try {
    write_datasets(context, temporary, parts);
    agreed(context.world, "importances: notes", [&] {
      if (context.is_chief()) describe(temporary, notes);
    });
    agreed(context.world, "importances: sync", [&] { sync_path(temporary); });
    agreed(context.world, "importances: publish", [&] {
      if (context.is_chief()) publish(temporary, path);
    });
  } catch (...) {
    std::error_code ignored;
    if (context.is_chief()) std::filesystem::remove(temporary, ignored);
    throw;
  }
}

// The manifest says what there is.
Importance read_state_importances(const RankContext& context, const std::string& path,
                                  const ParameterSet& parameters) {
  const CheckpointInfo info = CheckpointStore::open(context, path);
  Importance importance(parameters.size());
  CheckpointContent content{.is_part = true};
  agreed(context.world, "importances: checkpoint", [&] {
    MOESAIC_CHECK(!holds_adapter(info), ErrorKind::kCheckpoint,
                  "{} holds adapters: their importances are those of changes of a base", path);
    const Json& datasets = info.manifest.at("datasets");
    for (const Parameter& parameter : parameters) {
      for (const ImportancePart& part : kImportanceParts) {
        if (!datasets.contains(importance_name(part, parameter))) continue;
        at::Tensor& value = importance[static_cast<std::size_t>(parameter.index)].*part.value;
        value = at::empty(parameter.tensor.sizes(), parameters.master_options().device(at::kCPU));
        content.state.push_back(entry_like(parameter, part.group, value));
      }
    }
    if (content.state.empty()) {
      throw Error(ErrorKind::kCheckpoint,
                  format("the checkpoint {} holds no importances", info.path),
                  "make them with moesaic importance --model " + path);
    }
  });
  CheckpointStore::load(context, info, content);
  for (const Parameter& parameter : parameters) {
    for (const ImportancePart& part : kImportanceParts) {
      at::Tensor& value = importance[static_cast<std::size_t>(parameter.index)].*part.value;
      if (value.defined()) value = value.to(parameters.master_options());
    }
  }
  return importance;
}

Importance read_importances(const RankContext& context, const std::string& path,
                            const ParameterSet& parameters,
                            const std::optional<std::string>& model_digest) {
  bool folder = false;
  agreed(context.world, "importances: look",
         [&] { folder = is_folder(path, ErrorKind::kCheckpoint); });
  Importance importance;
  if (folder) {
    const std::string digest = ModelSource::open(context, path)->digest(context);
    agreed(context.world, "importances: model", [&] { require_model(path, digest, model_digest); });
    importance = read_state_importances(context, path, parameters);
  } else {
    agreed(context.world, "importances: read", [&] {
      const Hdf5File file = Hdf5File::open(path);
      require_model(path, checked_notes(file).model_digest, model_digest);
      check_datasets(file, parameters);
      importance = read_values(file, parameters);
    });
  }
  require_importances(context, path, parameters, importance);
  return importance;
}

}  // namespace moesaic
